import type { ScheduledTimer } from '../clock.ts'
import type { IncomingRecord, OutgoingRecord, UnreadableRange } from '../transport/transport.ts'
import type { Addressee } from './answer.ts'
import type { Abortable, RequestContext } from './context.ts'
import type { Handling } from './dispatch.ts'
import { recordOverhead } from './in-hand.ts'
import type { Laned, Lanes } from './key-lanes.ts'
import type { Tracked } from './offset-tracker.ts'
import type { RequestRun } from './outcome.ts'
import type { PartitionWork } from './partition-work.ts'
import type { Share } from './reply-shares.ts'

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
  /** When its turn came and when it had its outcome, in `Clock.monotonic` milliseconds. */
  beganAt = 0
  handledAt = 0
  /** When the brokers had its reply, on the same clock. */
  deliveredAt = 0
  /** Which of its partition's beginnings its last one was. */
  beginning = 0
  /** The reply that is being sent, and until when it is tried, in milliseconds since the Unix epoch. */
  sending: OutgoingRecord | undefined
  replyUntil = 0
  /** How often in a row it, or its hook, has stopped the partition. */
  stops = 0
  /** Whether it was told that it takes long. */
  told = false
  /** The time after which it is not waited for. */
  limit: ScheduledTimer | undefined
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
    appendedAfter: number | undefined = undefined,
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
      this.bytes = read.size + recordOverhead
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
