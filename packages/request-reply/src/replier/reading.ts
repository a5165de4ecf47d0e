import type { GroupMembership } from '../transport/transport.ts'
import type { PartitionWork } from './partition-work.ts'

/** Why a partition is not read, each a bit of `PartitionWork.pauses`. */
export const pausedFor = {
  /** Too much is in hand. */
  room: 1,
  /** Too far ahead of the lowest unfinished record. */
  ahead: 2,
  /** It stands still. */
  stop: 4,
  /** It is being let go. */
  drain: 8,
  /** The time of what was read has not come (a retry topic's partition). */
  delay: 16,
} as const

/** Pauses and resumes the reading of partitions: one is read while no reason speaks against it. */
export class Reading {
  #membership: GroupMembership | undefined

  /** From here on; what had to be paused before there was a membership is paused now. */
  joined(membership: GroupMembership, works: Iterable<PartitionWork>): void {
    this.#membership = membership
    for (const work of works) if (work.pauses !== 0) membership.pause(work)
  }

  pause(work: PartitionWork, reason: number): void {
    const before = work.pauses
    work.pauses |= reason
    if (before === 0) this.#membership?.pause(work)
  }

  resume(work: PartitionWork, reason: number): void {
    if ((work.pauses & reason) === 0) return
    work.pauses &= ~reason
    if (work.pauses === 0 && !work.gone) this.#membership?.resume(work)
  }
}
