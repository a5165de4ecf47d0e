/** What the coordinator's refusals mean for a member, in words. */
import { TransportError } from '../../../errors.ts'
import { ASSIGNMENT_PROTOCOL } from './assignment.ts'
import { refusal } from '../cluster/kafka-errors.ts'
import { errorName, kafka } from '../protocol/error-codes.ts'

/** A refusal that trying again does not mend by itself. `what` is what the member was doing. */
export function memberRefusal(groupId: string, code: number, what: string): TransportError {
  if (code !== kafka.inconsistentGroupProtocol) return refusal(code, `group ${groupId}: ${what}`)
  return new TransportError(
    'MILENA_BROKER_ERROR',
    `group ${groupId}: its other members do not offer the ${ASSIGNMENT_PROTOCOL} assignment (${errorName(code)}); ` +
      'use another group id, or set their partition.assignment.strategy to the CooperativeStickyAssignor',
  )
}

/** Another process has this static member's name (FENCED_INSTANCE_ID). */
export function nameTaken(groupId: string, instanceId: string | undefined): TransportError {
  return new TransportError(
    'MILENA_COMMIT_FENCED',
    `group ${groupId}: another process has joined as ${instanceId}, this one has stopped; ` +
      'give each process a groupInstanceId of its own',
  )
}

/** The group has gone on without this member (UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION); `heldUp`: as `Stalls` says it. */
export function placeLost(
  groupId: string,
  code: number,
  heldUp: number,
  sessionTimeout: number,
): TransportError {
  const session = `the session timeout of ${sessionTimeout} ms`
  const why =
    heldUp > 0
      ? `this process was held up for ${heldUp} ms, ${heldUp > sessionTimeout ? 'longer than' : 'with'} ${session}: a handler that computes?`
      : `no heartbeat of this member came within ${session}, or the coordinator has lost its memory.`
  return new TransportError(
    'MILENA_COMMIT_FENCED',
    `group ${groupId}: ${why} The group has gone on without it (${errorName(code)}); it joins again`,
  )
}
