import type { ScheduledTimer } from '../clock.ts'
import type { TopicPartition } from '../transport/transport.ts'
import type { Abortable } from './context.ts'
import { FinishedMemory } from './finished-memory.ts'
import type { Job } from './job.ts'
import { Lanes } from './key-lanes.ts'
import { OffsetTracker } from './offset-tracker.ts'

/** What outlives an assignment of a partition. */
export class PartitionPast {
  readonly lanes: Lanes<Job> = new Lanes()
  readonly finished: FinishedMemory = new FinishedMemory()
  /** Where reading has come to: what is read below was read here before. */
  seen = 0
}

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

/**
 * What this replier does with one partition, from its assignment until it is let go.
 *
 *     held ─ revoked ─▶ lingering ─ what had begun has ended, or time is short ─▶ draining ─ drained, or time is up ─▶ gone
 *      ├──── close ─────────────────────────────────────────────────────────────────▲                                  ▲
 *      └──── lost (from anywhere) ─────────────────────────────────────────────────────────────────────────────────────┘
 *
 * held       every record is handled
 * lingering  likewise: a slow request is waited for, and others of the partition are not held up by that
 * draining   no more is read; what runs is finished, and the gaps below it are filled; nothing else begins
 * gone       nothing begins and nothing is committed; signals have fired; what still runs may send its reply
 *
 * In `held`, `lingering` and `draining` it may stand still (`stops`): what runs is finished, nothing else begins but the
 * record that has stopped it.
 *
 * Why gaps are filled: of offsets 5, 6, 7 let 5 and 7 be of one key. 5 runs, 6 has been answered, 7 waits. After the
 * drain, 7 is committed and the next owner begins there. But with 5 and 6 of one key and 7 answered already, letting
 * go after 5 would commit 6, and the next owner would answer 7 a second time: so 6 is handled here, though it had not
 * begun. What lies above everything that has begun is left to the next owner.
 */
export class PartitionWork implements TopicPartition {
  readonly topic: string
  readonly partition: number
  readonly past: PartitionPast
  readonly tracker: OffsetTracker<Job> = new OffsetTracker<Job>()
  readonly abortable: Abortable = new Set()
  /** What waits before it is tried again, and is woken when the partition is let go. */
  readonly sleeping: Set<() => void> = new Set()
  /** Records that begin again later, with the timers that wake them. */
  readonly parked: Map<Job, { readonly notBefore: number; readonly timer: ScheduledTimer }> = new Map()
  /** The records because of which it stands still. */
  readonly stops: Map<Job, Standstill> = new Map()
  /** Set while reading is too far ahead of the lowest unfinished record. */
  tooFarAhead: Standstill | undefined
  /** Records, and bytes, read and not yet finished. */
  records = 0
  bytes = 0
  /** Whether too much is in hand for it to be read, and all reasons why it is not read (`reading.ts`). */
  paused = false
  pauses = 0
  /** The offset that was committed last, and how many records lie before it. */
  committed: number | undefined
  committedRecords = 0
  /** Whether it was told that requests came again which were finished here. */
  toldRepeats = false
  #state: 'held' | 'lingering' | 'draining' | 'gone' = 'held'
  #highestBegun = -1
  /** Records that have begun, are not finished, and are not parked. */
  #active = 0
  #beginnings = 0
  /** Of them those that are waited for while lingering, and the last of their beginnings. */
  #waitedFor = 0
  #lastWaitedFor = 0
  #lingered: (() => void) | undefined
  #drained: (() => void) | undefined
  #drainUntil = 0

  constructor(at: TopicPartition, past: PartitionPast = new PartitionPast()) {
    this.topic = at.topic
    this.partition = at.partition
    this.past = past
  }

  get lanes(): Lanes<Job> {
    return this.past.lanes
  }

  /** Whether what is read is taken in. */
  get takes(): boolean {
    return this.#state === 'held' || this.#state === 'lingering'
  }

  get gone(): boolean {
    return this.#state === 'gone'
  }

  /** Why it stands still, if it does. */
  get standstill(): Standstill | undefined {
    const [first] = this.stops.values()
    return first ?? this.tooFarAhead
  }

  wants(job: Job): boolean {
    if (this.takes) return true
    return this.#state === 'draining' && (job.beginning > 0 || job.offset < this.#highestBegun)
  }

  begun(job: Job): void {
    job.beginning = ++this.#beginnings
    this.#active++
    if (job.offset > this.#highestBegun) this.#highestBegun = job.offset
  }

  /** True when there is more to commit. */
  finish(job: Job): boolean {
    const moved = this.tracker.finish(job)
    this.rests(job)
    return moved
  }

  /** The record has begun and is, for now, not worked on: finished, parked, or left to the next owner. */
  rests(job: Job): void {
    this.#active--
    if (this.#lingered !== undefined && job.beginning <= this.#lastWaitedFor && --this.#waitedFor === 0) {
      this.#lingered()
    }
    this.look()
  }

  /** The record is worked on again, though it does not begin anew. */
  goesOn(job: Job): void {
    job.beginning = ++this.#beginnings
    this.#active++
  }

  /** Goes on as it is; resolves when all that has begun so far has ended, or everything is let go. */
  linger(): Promise<void> {
    if (this.#state !== 'held' || this.#active === 0) return Promise.resolve()
    this.#state = 'lingering'
    this.#waitedFor = this.#active
    this.#lastWaitedFor = this.#beginnings
    return new Promise((resolve) => (this.#lingered = resolve))
  }

  /**
   * Begins nothing more but what fills gaps; resolves when all that has begun is finished, or everything is let go.
   *
   * @param until what begins again after this, in milliseconds since the Unix epoch, is left to the next owner
   */
  drain(until = Number.POSITIVE_INFINITY): Promise<void> {
    if (this.takes) this.#state = 'draining'
    this.#drainUntil = until
    if (this.gone || this.isDrained) return Promise.resolve()
    return new Promise((resolve) => {
      const before = this.#drained
      this.#drained = () => {
        before?.()
        resolve()
      }
    })
  }

  /** Something has changed on which the end of the drain may hang. */
  look(): void {
    if (this.#drained !== undefined && this.isDrained) this.#drained()
  }

  /** Handlers that still run are told that their requests are to be handled again elsewhere. */
  letGo(reason: Error): void {
    if (this.gone) return
    this.#state = 'gone'
    for (const { timer } of this.parked.values()) timer.cancel()
    for (const context of this.abortable) context.abandon(reason)
    for (const wake of this.sleeping) wake()
    this.#lingered?.()
    this.#drained?.()
  }

  /**
   * Whether everything that has begun is finished, and everything below it; or what is not waits for later than the end
   * of the drain, or for the partition to go on.
   */
  get isDrained(): boolean {
    const { next } = this.tracker
    if (next === undefined || next > this.#highestBegun) return true
    if (this.#active > 0 || this.parked.size === 0) return false
    for (const { notBefore } of this.parked.values()) if (notBefore <= this.#drainUntil) return false
    if (this.stops.size > 0) return true
    for (let job = this.lanes.firstReady; job !== undefined; job = job.nextReady) {
      if (job.work === this && this.wants(job)) return false
    }
    return true
  }
}
