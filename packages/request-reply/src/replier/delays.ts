/**
 * Partitions of retry topics: a record waits there until so much time has passed since it was written.
 *
 *     read on ── the first record's time has not come ──▶ waiting ── it has: it and all that are due begin ──▶ read on
 *               (all behind it wait, nothing more is read)   ▲                    │ the next one is not due
 *                                                            └────────────────────┘
 *
 * One timer for each partition, whatever stands in it. A partition that waits is no trouble: it does not stand still.
 */
import { boundedDelay, type Clock } from '../clock.ts'
import type { KeyLanes } from './key-lanes.ts'
import type { Job, PartitionWork } from './partition-work.ts'
import { pausedFor, type Reading } from './reading.ts'

export interface DelaysOptions {
  readonly clock: Clock
  readonly reading: Reading
  readonly turns: KeyLanes<Job>
}

export class Delays {
  readonly #options: DelaysOptions

  constructor(options: DelaysOptions) {
    this.#options = options
  }

  /** Whether the record waits; then its turn comes when it is due. */
  take(job: Job): boolean {
    const { work } = job
    if (work.delay === 0) return false
    job.dueAt = this.#dueAt(job)
    if (work.delayed.first === undefined && job.dueAt <= this.#options.clock.monotonic()) return false
    work.delayed.add(job)
    if (work.delayed.timer === undefined) this.#wait(work)
    return true
  }

  /**
   * By the record's timestamp, which another clock has set; never later than the delay after it was read, and never
   * earlier than the delay after it was certainly not in the log yet.
   */
  #dueAt({ work, record, unreadable, receivedAt, appendedAfter }: Job): number {
    if (unreadable !== undefined) return receivedAt
    const { clock } = this.#options
    const latest = receivedAt + work.delay
    if (record.timestamp < 0) return latest
    const stated = record.timestamp + work.delay - clock.now() + clock.monotonic()
    const earliest = appendedAfter === undefined ? stated : appendedAfter + work.delay
    return Math.min(latest, Math.max(stated, earliest))
  }

  #wait(work: PartitionWork): void {
    const { clock, reading } = this.#options
    const { delayed } = work
    reading.pause(work, pausedFor.delay)
    const left = boundedDelay(delayed.first!.dueAt - clock.monotonic())
    delayed.timer = clock.schedule(left, () => {
      delayed.timer = undefined
      this.#letGo(work)
    })
  }

  /** What is due takes its turn, unless nothing of the partition begins any more. */
  #letGo(work: PartitionWork): void {
    const { clock, reading, turns } = this.#options
    if (!work.takes) return
    const { delayed } = work
    const now = clock.monotonic()
    while (delayed.first !== undefined && delayed.first.dueAt <= now) turns.add(delayed.shift()!)
    if (delayed.first === undefined) reading.resume(work, pausedFor.delay)
    else this.#wait(work)
    turns.look()
  }
}
