import type { ScheduledTimer } from '../clock.ts'
import type {
  IncomingRecord,
  OutgoingRecord,
  TopicPartition,
  UnreadableRange,
} from '../transport/transport.ts'
import type { Addressee } from './addressee.ts'
import type { Abortable, RequestContext } from './context.ts'
import type { Handling } from './dispatch.ts'
import { DelayedJobs } from './delayed-jobs.ts'
import type { FinishedAhead } from './finished-ahead.ts'
import { FinishedMemory } from './finished-memory.ts'
import type { Standstill } from './health.ts'
import { Lanes, type Laned } from './key-lanes.ts'
import { OffsetTracker, type Tracked } from './offset-tracker.ts'
import type { Share } from './reply-shares.ts'
import type { RequestRun } from './run.ts'

/**
 * Bytes that a record takes beside its key, value and headers: the objects for itself, its buffers and its place in the
 * lanes, and those of each header. Measured on Node 24 (x64).
 */
export const recordOverhead = 700
export const headerOverhead = 280

/**
 * - `waiting` for its turn: for its key's lane, or for a slot
 * - `handling`: from its turn to its outcome
 * - `delivering` its reply
 * - `finishing`: `beforeFinish` runs
 * - `parked`: it begins again later, or the partition stands still because of it
 * - `over`: finished, or dropped with its partition
 */
export type JobPhase = 'waiting' | 'handling' | 'delivering' | 'finishing' | 'parked' | 'over'

/**
 * A record that was read, or a stretch that could not be, from then until nothing is left to do for it.
 *
 *     waiting ── its turn ──▶ handling ── reply ──▶ delivering ──▶ finishing ──▶ over
 *        ▲                      │  │ └─── no reply ────────────────────▲
 *        └────── parked ◀─ later, stop           partition gone: from anywhere to over
 */
export class Job implements Tracked<Job>, Laned<Job>, RequestRun {
  readonly work: PartitionWork
  readonly offset: number
  readonly next: number
  /** The record, until nothing is left to do for it. */
  record: IncomingRecord
  /** Instead of a record. */
  readonly unreadable: UnreadableRange | undefined
  /** Its key; given up when its handler is left behind. */
  lane: string | undefined
  readonly receivedAt: number
  readonly appendedAfter: number | undefined
  attempt = 1
  /** Whether its turn has passed without a try. */
  #untried = false
  phase: JobPhase = 'waiting'
  /** What it counts in `InHand`. */
  bytes: number
  /** Whether it was read here before. */
  redelivered = false
  /** Whether it was even finished here before. */
  repeated = false
  /** Whether it has a slot and its lane. */
  hasTurn = false
  /** Whether its error reply was given before its handler ended. */
  overdue = false
  /** Whether slot and lane were let go of before its handler ended. */
  leftBehind = false
  /** When its turn came, in `Clock.monotonic` milliseconds; NaN before that. And when it had its outcome. */
  beganAt: number = Number.NaN
  handledAt = 0
  /** Not before this its turn comes, on the same clock, while it is among its partition's `delayed`. */
  dueAt = 0
  /** When the brokers had its reply, on the same clock. */
  deliveredAt = 0
  /** Which of its partition's beginnings its last one was. */
  beginning = 0
  /** The reply that is being sent, and until when it is tried, in milliseconds since the Unix epoch, once somebody asks. */
  sending: OutgoingRecord | undefined
  replyBytes = 0
  replyUntil: number | undefined
  /** How often in a row it, or its hook, has stopped the partition. */
  stops = 0
  /** Whether it was told that it takes long. */
  told = false
  /** The time after which it is not waited for. */
  limit: ScheduledTimer | undefined
  /** Whether no such time counts for this try. */
  unlimited = false
  /** What it has reached: told by the handling when it is known, before anything of the application's is called. */
  handling: Handling | undefined
  to: Addressee | undefined
  context: RequestContext | undefined
  /** What counts the replies that wait for its address. */
  share: Share | undefined
  /** What its handling has thrown at last. */
  thrown: unknown = undefined
  // The tracker's and the lanes'.
  index = -1
  before: Job | undefined
  following: Job | undefined
  behind: Job | undefined
  nextReady: Job | undefined

  constructor(
    read: IncomingRecord | UnreadableRange,
    work: PartitionWork,
    receivedAt = 0,
    appendedAfter?: number,
  ) {
    this.work = work
    this.offset = read.offset
    this.receivedAt = receivedAt
    this.appendedAfter = appendedAfter
    if ('next' in read) {
      this.next = read.next
      this.record = none
      this.unreadable = read
      this.bytes = recordOverhead
    } else {
      this.next = read.offset + 1
      this.record = read
      this.unreadable = undefined
      this.bytes = read.size + recordOverhead + headerOverhead * read.headers.length
      // One character for each byte: equal keys, equal strings.
      this.lane = read.key === null ? undefined : read.key.toString('latin1')
    }
  }

  get lanes(): Lanes<Job> {
    return this.work.lanes
  }

  get owned(): boolean {
    return !this.work.gone
  }

  get abortable(): Abortable {
    return this.work.abortable
  }

  /** What the handling finds out, as soon as it has. */
  reached(
    handling: Handling | undefined,
    to: Addressee | undefined,
    context: RequestContext | undefined,
  ): void {
    this.handling = handling
    this.to = to
    this.context = context
  }

  untried(): void {
    this.#untried = true
  }

  /** Its turn comes again: for another try, unless the one that it had was none. */
  again(): void {
    if (!this.#untried) this.attempt++
    this.#untried = false
  }

  endLimit(): void {
    this.unlimited = true
    this.limit?.cancel()
    this.limit = undefined
  }

  /** Nothing is left to do: what it held is let go of, though its handler may hold the record still. */
  end(): void {
    this.phase = 'over'
    this.record = none
    this.sending = undefined
    this.handling = undefined
    this.to = undefined
    this.context = undefined
    this.thrown = undefined
  }
}

/** What outlives an assignment of a partition. */
export class PartitionPast {
  readonly lanes: Lanes<Job> = new Lanes()
  readonly finished: FinishedMemory = new FinishedMemory()
  /** Where reading has come to: what is read below was read here before. */
  seen = 0
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
  /** Milliseconds that its records wait before their turn can come (`delays.ts`). */
  readonly delay: number
  /** Those that wait, in order. */
  readonly delayed: DelayedJobs<Job> = new DelayedJobs<Job>()
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
  /** The offset that was committed last, its metadata, and how many records both have covered. */
  committed: number | undefined
  committedMetadata = ''
  committedRecords = 0
  /** How many were finished at that commit; more than it covers where its metadata did not fit. */
  committedAt = 0
  /** What the group's last commit before this assignment said of records that were not read yet. */
  finishedAhead: FinishedAhead | undefined
  /** Whether it was told that requests came again which were finished here, or by a former owner. */
  toldRepeats = false
  toldPassed = false
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

  constructor(at: TopicPartition, past: PartitionPast = new PartitionPast(), delay = 0) {
    this.delay = delay
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

  /** Whether nothing is finished that was not at the last commit. */
  get isCommitted(): boolean {
    const { next, finished } = this.tracker
    return next === undefined || (next === this.committed && finished === this.committedAt)
  }

  /** True when the lowest unfinished record is another one. */
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
  drain(until: number = Number.POSITIVE_INFINITY): Promise<void> {
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
    this.delayed.clear()
    this.abortable.aborted = reason
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

const none: IncomingRecord = {
  topic: '',
  partition: -1,
  offset: -1,
  key: null,
  value: null,
  headers: [],
  timestamp: 0,
  size: 0,
}
