import type { RecordPosition, Trouble } from '../transport/transport.ts'

/** Why a partition stands still, or is not read. */
export type StandstillReason =
  /** A request's outcome is `stop`: it is handled again, with a growing pause. */
  | 'outcome'
  /** `beforeFinish` has failed: it is called again, with a growing pause. */
  | 'before-finish'
  /** A request is not finished, and `maxAhead` later ones were read. What was read goes on. */
  | 'too-far-ahead'

export interface Standstill {
  readonly reason: StandstillReason
  /** Since when, in milliseconds since the Unix epoch. */
  readonly since: number
  readonly error: Error | undefined
}

/** A partition that stands still, or is not read on, since when and why. */
export interface StoppedPartition {
  readonly topic: string
  readonly partition: number
  readonly reason: StandstillReason
  /** In milliseconds since the Unix epoch. */
  readonly since: number
  /** What its handling or its hook has failed with, last. */
  readonly error: Error | undefined
}

/** The request that has been in hand for longest. */
export interface OldestInHand {
  readonly operation: string | undefined
  /** Its key as text, escaped and cut; `undefined` for none. */
  readonly key: string | undefined
  readonly position: RecordPosition
  /** Milliseconds since it was read. */
  readonly age: number
  /** Milliseconds since its turn came; `undefined` while it waits for that. */
  readonly running: number | undefined
}

/** An address to which replies cannot be delivered at present. It ends with the next reply that is acknowledged. */
export interface UndeliverableAddress {
  readonly topic: string
  /** `undefined` where the replier's partitioner chooses. */
  readonly partition: number | undefined
  /** Since when, in milliseconds since the Unix epoch. */
  readonly since: number
  /** Replies that wait to be acknowledged, and replies that were given up. */
  readonly waiting: number
  readonly givenUp: number
  readonly error: Error | undefined
}

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
