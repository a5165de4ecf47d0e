/**
 * What becomes of a record that was read from a reply topic:
 *
 *   pending here ─────────────────▶ its outcome      given up here ───────────▶ late: handed over with its request
 *   has its outcome here already ─▶ the same reply: duplicate; another one: contradicting, a warning
 *   answered with an error that left its effect open ─▶ an error of that kind: as above; anything else: late
 *   of an earlier process, in the journal ─▶ recovered
 *   anything else ────────────────▶ foreign: passed over; after a restart kept for a while, its request may yet be registered
 *
 * Where several replies are wanted (`requestMany`), each group has one:
 *
 *   pending here ─▶ its group's first: gathered       has its outcome here ─▶ its group's first: late
 *   its group's second: the same: duplicate; another one: contradicting, a warning (gathering.ts)
 */
import {
  replyDuplicate,
  replyForeign,
  replyLate,
  replyReceived,
  type ReceivedStep,
  type StrayStep,
} from '../diagnostics.ts'
import type { MilenaError } from '../errors.ts'
import type { IncomingRecord, RecordPosition } from '../transport/transport.ts'
import type { WireError } from '../wire/milena.ts'
import { readReplyError } from '../wire/profile.ts'
import type { EarlyReplies } from './early-replies.ts'
import { fingerprintOf } from './fingerprint.ts'
import type { LateReplies } from './late-replies.ts'
import type { ReplySeen } from './memory.ts'
import type { OperationAccounts } from './operation-accounts.ts'
import type { RequesterSettings } from './options.ts'
import { kept } from './gathering.ts'
import { idOf, stepOf, type PendingReply } from './pending.ts'
import type { PendingReplies } from './pending-replies.ts'
import { leavesOpen, readReply, type ReadReply } from './read-reply.ts'
import type { Recovery } from './recovery.ts'
import type { Reply } from './reply.ts'
import type { RequesterCounters } from './stats.ts'
import type { Strays } from './strays.ts'

export interface ReplyReceiverOptions {
  readonly settings: Pick<RequesterSettings, 'instanceId' | 'profile' | 'clock' | 'maxReplyBytes'>
  readonly pending: PendingReplies
  readonly counters: RequesterCounters
  readonly accounts: OperationAccounts
  readonly late: LateReplies
  /** Where the requester resumes. */
  readonly early: EarlyReplies | undefined
  /** Where it has a journal. */
  readonly recovery: Recovery | undefined
  /** The reply of a request that stands in the journal was handed over as a late one. */
  onJournaledLate(pending: PendingReply): void
  /** Told of what matches no request, and of second replies. */
  readonly strays: Strays
  /** Told what an application's `onReply` threw. */
  onReplyFailed(thrown: unknown): void
  /** Two replies to one request differ. */
  onContradiction(correlationId: string, first: RecordPosition, second: RecordPosition): void
}

export class ReplyReceiver {
  readonly #options: ReplyReceiverOptions

  constructor(options: ReplyReceiverOptions) {
    this.#options = options
  }

  receive(records: readonly IncomingRecord[]): void {
    const { counters } = this.#options
    for (const record of records) {
      counters.recordsRead++
      counters.bytesRead += record.size
    }
    this.take(records)
  }

  /** As `receive`, of records that were read before. */
  take(records: readonly IncomingRecord[]): void {
    const { settings, pending } = this.#options
    for (const record of records) {
      const correlationId = settings.profile.readCorrelation(record.headers)
      const id = correlationId === undefined ? '' : idOf(correlationId)
      const entry = pending.get(id)
      if (entry === undefined) this.#receiveStray(record, id)
      else if (record.topic === entry.operation.topic) this.countForeign(record)
      else this.#receiveReply(entry, record)
    }
  }

  #receiveReply(entry: PendingReply, record: IncomingRecord): void {
    this.#countOwn(record)
    const remote = readReplyError(this.#options.settings.profile, record.headers)
    const fingerprint = fingerprintOf(record.value, remote?.code)
    if (entry.gathering !== undefined) return this.#receiveOneOfMany(entry, record, fingerprint, remote)
    const several = entry.onReply !== undefined
    // The entry stays pending while something asynchronous has its say: that, too, must end in time.
    if (entry.replied && !several) return this.#compare(entry.seen!, record, fingerprint)
    this.#read(entry, record, fingerprint, remote)
  }

  #receiveOneOfMany(
    entry: PendingReply,
    record: IncomingRecord,
    fingerprint: number,
    remote: WireError | undefined,
  ): void {
    const { pending } = this.#options
    const first = entry.gathering!.meet(record, fingerprint, leavesOpen(remote))
    if (first !== undefined) return this.#compare(first, record, fingerprint)
    if (pending.admit(entry, record)) this.#read(entry, kept(record), fingerprint, remote)
    else this.#tellLate(entry, record, remote)
  }

  #read(
    entry: PendingReply,
    record: IncomingRecord,
    fingerprint: number,
    remote: WireError | undefined,
  ): void {
    const { settings, accounts } = this.#options
    const roundTrip = settings.clock.monotonic() - entry.acceptedAt
    if (!entry.replied || entry.gathering !== undefined) accounts.recordRoundTrip(entry.account, roundTrip)
    entry.replied = true
    if (replyReceived.hasSubscribers) replyReceived.publish(this.#received(entry, record, roundTrip, remote))
    const read = readReply(entry, record, remote, roundTrip, settings.maxReplyBytes)
    if (!(read instanceof Promise) && entry.reading === undefined) {
      this.#settle(entry, record, fingerprint, remote, roundTrip, read)
      return
    }
    entry.seen = seenOf(record, fingerprint)
    // One after the other, where there may be several.
    entry.reading = Promise.all([read, entry.reading]).then(([done]) =>
      this.#settle(entry, record, fingerprint, remote, roundTrip, done),
    )
  }

  #settle(
    entry: PendingReply,
    record: IncomingRecord,
    fingerprint: number,
    remote: WireError | undefined,
    roundTrip: number,
    read: ReadReply,
  ): void {
    const { pending, counters } = this.#options
    if (entry.stage === 'pending') {
      if (entry.gathering !== undefined) return pending.gather(entry, record, read)
      if (this.#wantsMore(entry, read)) return
    }
    // Not `instanceof MilenaError`, which asks for a brand: what comes here was made here.
    const given =
      read instanceof Error
        ? pending.refuse(
            entry,
            remote === undefined ? 'failed' : 'remote-error',
            read,
            seenOf(record, fingerprint),
            leavesOpen(remote),
          )
        : pending.reply(entry, read as Reply<never>, fingerprint, record)
    if (given) return
    // The request got another outcome while its reply was being read: the reply is late.
    counters.late++
    if (replyLate.hasSubscribers) replyLate.publish(this.#received(entry, record, roundTrip, remote))
    this.#handOver(entry, roundTrip, remote, read)
  }

  #handOver(entry: PendingReply, roundTrip: number, remote: WireError | undefined, read: ReadReply): void {
    const handedOver = this.#options.late.handOver(entry, roundTrip, read)
    if (entry.journaled && !leavesOpen(remote))
      void Promise.resolve(handedOver).then(() => this.#options.onJournaledLate(entry))
  }

  #wantsMore({ onReply }: PendingReply, read: ReadReply): boolean {
    if (onReply === undefined) return false
    try {
      return onReply(read as Reply<never> | MilenaError) === 'more'
    } catch (thrown) {
      this.#options.onReplyFailed(thrown)
      return false
    }
  }

  #receiveStray(record: IncomingRecord, id: string): void {
    const { pending } = this.#options
    const { remembered } = pending
    const entry = remembered.unanswered(id)
    const answer = entry === undefined ? remembered.answerTo(id) : entry.seen
    if (entry === undefined && answer === undefined) return this.#receiveUnknown(record, id)
    if (record.topic === entry?.operation.topic) return this.countForeign(record)
    this.#countOwn(record)
    const remote = readReplyError(this.#options.settings.profile, record.headers)
    const fingerprint = fingerprintOf(record.value, remote?.code)
    if (entry !== undefined && (answer === undefined || !leavesOpen(remote)))
      this.#receiveLate(entry, record, fingerprint, remote)
    else this.#compare(answer!, record, fingerprint)
  }

  #receiveLate(
    entry: PendingReply,
    record: IncomingRecord,
    fingerprint: number,
    remote: WireError | undefined,
  ): void {
    const { remembered } = this.#options.pending
    if (entry.gathering !== undefined) {
      const first = entry.gathering.meet(record, fingerprint, leavesOpen(remote))
      if (first !== undefined) return this.#compare(first, record, fingerprint)
    } else if (leavesOpen(remote)) remembered.keepOpen(entry, seenOf(record, fingerprint))
    else remembered.answeredLate(entry, fingerprint, record)
    this.#tellLate(entry, record, remote)
  }

  #tellLate(entry: PendingReply, record: IncomingRecord, remote: WireError | undefined): void {
    const { settings, counters } = this.#options
    counters.late++
    const roundTrip = settings.clock.monotonic() - entry.acceptedAt
    if (replyLate.hasSubscribers) replyLate.publish(this.#received(entry, record, roundTrip, remote))
    const read = readReply(entry, record, remote, roundTrip, settings.maxReplyBytes)
    if (read instanceof Promise) void read.then((done) => this.#handOver(entry, roundTrip, remote, done))
    else this.#handOver(entry, roundTrip, remote, read)
  }

  /** A second reply to a request that has one, or of a group. */
  #compare(first: ReplySeen, record: IncomingRecord, fingerprint: number): void {
    const { counters, settings } = this.#options
    // A record that only says that no further reply comes is none that contradicts.
    const isEnd = record.value === null && settings.profile.endsReplies?.(record.headers) === true
    if (first.fingerprint === fingerprint || isEnd) {
      counters.duplicate++
    } else {
      counters.contradicting++
      this.#options.onContradiction(this.#stray(record).correlationId!, first.position, positionOf(record))
    }
    if (!isEnd) this.#options.strays.second(first.position, record)
    if (replyDuplicate.hasSubscribers) replyDuplicate.publish(this.#stray(record))
  }

  #countOwn(record: IncomingRecord): void {
    this.#options.strays.own()
    this.#options.counters.ownRecordsRead++
    this.#options.counters.ownBytesRead += record.size
  }

  #receiveUnknown(record: IncomingRecord, id: string): void {
    const { early, recovery } = this.#options
    if (recovery?.take(id, record)) return this.#countOwn(record)
    this.#options.strays.unmatched(record, id !== '')
    if (early === undefined || id === '') this.countForeign(record)
    else early.keep(id, record)
  }

  /** Nobody here waits for it. */
  countForeign(record: IncomingRecord): void {
    this.#options.counters.foreign++
    if (replyForeign.hasSubscribers) replyForeign.publish(this.#stray(record))
  }

  #stray(record: IncomingRecord): StrayStep {
    const { profile, instanceId } = this.#options.settings
    return {
      correlationId: profile.readCorrelation(record.headers)?.toString('hex'),
      instanceId,
      position: positionOf(record),
    }
  }

  #received(
    entry: PendingReply,
    record: IncomingRecord,
    roundTrip: number,
    remote: WireError | undefined,
  ): ReceivedStep {
    return {
      ...stepOf(entry, this.#options.settings.instanceId),
      position: positionOf(record),
      roundTrip,
      errorCode: remote?.code,
      bytes: record.size,
      timestamp: record.timestamp,
    }
  }
}

function positionOf({ topic, partition, offset }: RecordPosition): RecordPosition {
  return { topic, partition, offset }
}

function seenOf(record: IncomingRecord, fingerprint: number): ReplySeen {
  return { fingerprint, position: positionOf(record) }
}
