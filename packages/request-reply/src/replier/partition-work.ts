import type { IncomingRecord, TopicPartition } from '../transport/transport.ts'
import type { Abortable } from './context.ts'
import type { Laned, Lanes } from './key-lanes.ts'
import { OffsetTracker, type Tracked } from './offset-tracker.ts'

/** A record that was read, from then until it is finished. */
export class Job implements Tracked<Job>, Laned<Job> {
  readonly record: IncomingRecord
  readonly work: PartitionWork
  readonly lane: string | undefined
  finished = false
  following: Job | undefined
  behind: Job | undefined
  nextReady: Job | undefined

  constructor(record: IncomingRecord, work: PartitionWork) {
    this.record = record
    this.work = work
    // One character for each byte: equal keys, equal strings.
    this.lane = record.key === null ? undefined : record.key.toString('latin1')
  }

  get offset(): number {
    return this.record.offset
  }

  get lanes(): Lanes<Job> {
    return this.work.lanes
  }
}

/**
 * What this replier does with one partition, from its assignment until it is let go.
 *
 *     held ── revoke, close ──▶ draining ── drained, or time is up ──▶ gone
 *       └──────────────────── lost ─────────┴─────────────────────────▶ gone
 *
 * held      every record is handled
 * draining  what runs is finished, and the gaps below it are filled; nothing else begins
 * gone      nothing begins and nothing is committed; signals have fired; what still runs may send its reply
 *
 * Why gaps are filled: of offsets 5, 6, 7 let 5 and 7 be of one key. 5 runs, 6 has been answered, 7 waits. After the
 * drain, 7 is committed and the next owner begins there. But with 5 and 6 of one key and 7 answered already, letting
 * go after 5 would commit 6, and the next owner would answer 7 a second time: so 6 is handled here, though it had not
 * begun. What lies above everything that has begun is left to the next owner.
 */
export class PartitionWork implements TopicPartition {
  readonly topic: string
  readonly partition: number
  readonly lanes: Lanes<Job>
  readonly tracker: OffsetTracker<Job> = new OffsetTracker<Job>()
  readonly abortable: Abortable = new Set()
  /** Replies that wait before they are sent again. */
  readonly sleeping: Set<() => void> = new Set()
  /** Records, and bytes, read and not yet finished. */
  records = 0
  bytes = 0
  paused = false
  /** The offset that was committed last, and how many records lie before it. */
  committed: number | undefined
  committedRecords = 0
  #state: 'held' | 'draining' | 'gone' = 'held'
  #highestBegun = -1
  #drained: (() => void) | undefined

  constructor(at: TopicPartition, lanes: Lanes<Job>) {
    this.topic = at.topic
    this.partition = at.partition
    this.lanes = lanes
  }

  get held(): boolean {
    return this.#state === 'held'
  }

  get gone(): boolean {
    return this.#state === 'gone'
  }

  wants(job: Job): boolean {
    if (this.#state === 'held') return true
    return this.#state === 'draining' && job.offset < this.#highestBegun
  }

  begun(job: Job): void {
    if (job.offset > this.#highestBegun) this.#highestBegun = job.offset
  }

  /** True when there is more to commit. */
  finish(job: Job): boolean {
    const moved = this.tracker.finish(job)
    if (moved && this.#drained !== undefined && this.isDrained) this.#drained()
    return moved
  }

  /** Begins nothing more but what fills gaps; resolves when all that has begun is finished, or everything is let go. */
  drain(): Promise<void> {
    if (this.#state === 'held') this.#state = 'draining'
    if (this.gone || this.isDrained) return Promise.resolve()
    return new Promise((resolve) => {
      const before = this.#drained
      this.#drained = () => {
        before?.()
        resolve()
      }
    })
  }

  /** Handlers that still run are told that their requests are to be handled again elsewhere. */
  letGo(reason: Error): void {
    if (this.gone) return
    this.#state = 'gone'
    for (const context of this.abortable) context.abandon(reason)
    for (const wake of this.sleeping) wake()
    this.#drained?.()
  }

  /** Whether everything that has begun is finished, and everything below it. */
  get isDrained(): boolean {
    const { next } = this.tracker
    return next === undefined || next > this.#highestBegun
  }
}
