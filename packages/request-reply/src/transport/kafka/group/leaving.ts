/** How a member leaves its group, whatever it was doing: nobody is to wait until its session has timed out. */
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock, within } from '../../../clock.ts'
import { TransportError } from '../../../errors.ts'
import { coordinatorUnready } from '../cluster/coordinator.ts'
import type { GroupCoordinator } from './coordinator-requests.ts'
import { kafka } from '../protocol/error-codes.ts'
import { Pauses, type PauseOptions } from '../waiting/pauses.ts'

/** Milliseconds within which the coordinator takes a leave; without it the session timeout does the same. */
const LEAVE_LIMIT = 3_000
const RETRY_PAUSE = 50
/** Milliseconds between two tries to find a coordinator that takes it. */
const PAUSES: PauseOptions = { first: 50, longest: 500 }

export interface Leaver {
  /** Empty while this member has none. */
  readonly memberId: string
  /** The member id that the answer to a JoinGroup under way brings; empty when there is no answer. */
  readonly naming: Promise<string> | undefined
  /** Static membership (KIP-345). */
  readonly isStatic: boolean
}

/**
 * Leaves; resolves when the coordinator has taken it, or 3 s are over, or no broker answers. Nothing is asked of a
 * coordinator that has not heard of this member.
 *
 * A JoinGroup without a member id that is on the wire makes a member, whose id only its answer tells. A dynamic member
 * is answered at once (MEMBER_ID_REQUIRED, KIP-394): until it leaves, the group waits in its rebalance for it to come
 * back with that id. A static member is answered when the rebalance is over, which may wait for others: it is taken out
 * by its instance id, again and again, since its JoinGroup may arrive after a LeaveGroup on another connection. A
 * JoinGroup with a member id that arrives later than the leave is refused (UNKNOWN_MEMBER_ID), so that is sent until a
 * coordinator has answered as one.
 */
export async function leaveGroup(
  coordinator: Pick<GroupCoordinator, 'leave'>,
  leaver: Leaver,
  limit: number = LEAVE_LIMIT,
): Promise<void> {
  const late = new AbortController()
  await within(systemClock, limit, leave(coordinator, leaver, late.signal))
  late.abort()
}

async function leave(
  coordinator: Pick<GroupCoordinator, 'leave'>,
  { memberId, naming, isStatic }: Leaver,
  late: AbortSignal,
): Promise<void> {
  let name = memberId
  if (name === '' && naming !== undefined)
    name = isStatic ? await takeOut(coordinator, naming, late) : await naming
  if (name === '') return
  const pauses = new Pauses(PAUSES)
  while (!late.aborted) {
    if (!coordinatorUnready.has(await tell(coordinator, name))) return
    await pauses.wait(late)
  }
}

/** Gives Kafka's error code. One that dies meanwhile is none any more: its successor has not heard of it, or not surely. */
async function tell(coordinator: Pick<GroupCoordinator, 'leave'>, name: string): Promise<number> {
  try {
    return await coordinator.leave(name)
  } catch (error) {
    const isFinal =
      error instanceof TransportError && (!error.retryable || error.code === 'MILENA_BROKER_UNREACHABLE')
    if (isFinal) throw error
    return kafka.coordinatorNotAvailable
  }
}

/** By the instance id, until the JoinGroup has arrived. Gives the member's name when the JoinGroup was answered by then. */
async function takeOut(
  coordinator: Pick<GroupCoordinator, 'leave'>,
  naming: Promise<string>,
  late: AbortSignal,
): Promise<string> {
  let name: string | undefined
  const answered = new AbortController()
  void naming.then((given) => {
    name = given
    answered.abort()
  })
  const signal = AbortSignal.any([late, answered.signal])
  for (let pause = 0; ; pause = RETRY_PAUSE) {
    await sleep(pause, undefined, { signal }).catch(() => undefined)
    if (name !== undefined) return name
    if (late.aborted || (await tell(coordinator, '')) === kafka.none) return ''
  }
}
