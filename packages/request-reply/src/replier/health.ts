import type { Trouble } from '../transport/transport.ts'
import type { UndeliverableAddress } from './reply-shares.ts'
import type { OldestInHand } from './slow-work.ts'
import type { StoppedPartition } from './standstills.ts'

/** How a replier is, now. All lists are empty when all is well. */
export interface ReplierHealth {
  /** Whether it is a member of its group: `start()` has resolved, it is not closing, and the group has not put it out. */
  readonly joined: boolean
  /** How many partitions are assigned to it. */
  readonly partitions: number
  /** Partitions that stand still, or are not read on, and why. */
  readonly stopped: readonly StoppedPartition[]
  /** What stops the reading, or the membership, and lasts. */
  readonly troubles: readonly Trouble[]
  /** The request that was read first of those that are not finished. */
  readonly oldestInHand: OldestInHand | undefined
  /** Slots that are taken, of `concurrency`. */
  readonly slotsTaken: number
  readonly concurrency: number
  /** Handlers that run without a slot, since nobody waits for them any more (`leaveBehind`). */
  readonly leftBehind: number
  /** Addresses to which replies cannot be delivered, at most 100. */
  readonly undeliverable: readonly UndeliverableAddress[]
}
