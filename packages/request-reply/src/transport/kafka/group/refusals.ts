/** What the coordinator's refusals mean for a member, in words. */
import { TransportError } from '../../../errors.ts'
import { ASSIGNMENT_PROTOCOL } from './assignment.ts'
import type { Session } from './session.ts'
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

/** The group has gone on without this member (UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION). */
export function placeLost(groupId: string, code: number, session: Session): TransportError {
  const why =
    whyHeldUp(session) ??
    `no heartbeat of this member came within the session timeout of ${session.timeout} ms, or the coordinator has lost its memory.`
  return new TransportError(
    'MILENA_COMMIT_FENCED',
    `group ${groupId}: ${why} The group has gone on without it (${errorName(code)}); it joins again`,
  )
}

/** The session is over by this member's own clock, whatever a coordinator would say. */
export function sessionOver(groupId: string, session: Session): TransportError {
  const why =
    whyHeldUp(session) ??
    `no coordinator has answered this member within the session timeout of ${session.timeout} ms.`
  return new TransportError(
    'MILENA_COMMIT_FENCED',
    `group ${groupId}: ${why} Others may have its partitions by now, so it has let go of them; it joins again`,
  )
}

function whyHeldUp({ heldUp, timeout }: Session): string | undefined {
  if (heldUp === 0) return undefined
  const compared = heldUp > timeout ? 'longer than' : 'with'
  return `this process was held up for ${heldUp} ms, ${compared} the session timeout of ${timeout} ms: a handler that computes?`
}
