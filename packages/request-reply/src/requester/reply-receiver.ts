/**
 * What becomes of a record that was read from a reply topic:
 *
 *   pending here ─────────────────▶ its outcome      given up here ──▶ late: handed over with its request
 *   has its outcome here already ─▶ duplicate        anything else ──▶ foreign: passed over
 */
import {
  replyDuplicate,
  replyForeign,
  replyLate,
  replyReceived,
  type ReceivedStep,
  type StrayStep,
} from '../diagnostics.ts'
import type { Durations } from '../durations.ts'
import { MilenaError } from '../errors.ts'
import type { IncomingRecord } from '../transport/transport.ts'
import { readError } from '../wire/milena.ts'
import type { RequesterSettings } from './options.ts'
import { idOf, stepOf, type PendingReply } from './pending.ts'
import type { PendingReplies } from './pending-replies.ts'
import { readReply, type ReadReply } from './read-reply.ts'
import type { LateReply, Reply } from './reply.ts'
import type { RequesterCounters } from './stats.ts'

export interface ReplyReceiverOptions {
  readonly settings: Pick<RequesterSettings, 'instanceId' | 'profile' | 'clock' | 'onLateReply'>
  readonly pending: PendingReplies
  readonly counters: RequesterCounters
  readonly roundTrips: Durations
  /** Reports what the application's `onLateReply` threw. */
  warn(error: Error): void
}

export class ReplyReceiver {
  readonly #options: ReplyReceiverOptions

  constructor(options: ReplyReceiverOptions) {
    this.#options = options
  }

  receive(records: readonly IncomingRecord[]): void {
    const { settings, pending, counters } = this.#options
    for (const record of records) {
      counters.recordsRead++
      counters.bytesRead += record.size
      const correlationId = settings.profile.readCorrelation(record.headers)
      const id = correlationId === undefined ? '' : idOf(correlationId)
      const entry = pending.get(id)
      if (entry === undefined) this.#receiveStray(record, id)
      else this.#receiveReply(entry, record)
    }
  }

  #receiveReply(entry: PendingReply, record: IncomingRecord): void {
    const { settings, roundTrips } = this.#options
    this.#countOwn(record)
    if (entry.replied) return this.#countDuplicate(record)
    entry.replied = true
    const roundTrip = settings.clock.monotonic() - entry.acceptedAt
    roundTrips.record(roundTrip)
    if (replyReceived.hasSubscribers) replyReceived.publish(this.#received(entry, record, roundTrip))
    // The entry stays pending while an asynchronous schema has its say: that, too, must end in time.
    const read = readReply(entry, record, roundTrip)
    if (read instanceof Promise) void read.then((later) => this.#settle(entry, roundTrip, later))
    else this.#settle(entry, roundTrip, read)
  }

  #settle(entry: PendingReply, roundTrip: number, read: ReadReply): void {
    const { pending, counters } = this.#options
    if (!pending.takeAnswered(entry)) {
      // The request got another outcome while its reply was being validated: the reply is late.
      counters.late++
      this.#handOver(entry, roundTrip, read)
    } else if (read instanceof MilenaError) {
      if (read.code === 'MILENA_REMOTE_ERROR') counters.remoteErrors++
      else counters.failed++
      pending.reject(entry, read)
    } else {
      counters.replied++
      entry.resolve(read as Reply<never>)
    }
  }

  #receiveStray(record: IncomingRecord, id: string): void {
    const { pending, counters } = this.#options
    const givenUp = pending.takeUnanswered(id)
    if (givenUp !== undefined) {
      this.#countOwn(record)
      this.#receiveLate(givenUp, record)
    } else if (pending.wasAnswered(id)) {
      this.#countOwn(record)
      this.#countDuplicate(record)
    } else {
      counters.foreign++
      if (replyForeign.hasSubscribers) replyForeign.publish(this.#stray(record))
    }
  }

  #receiveLate(entry: PendingReply, record: IncomingRecord): void {
    const { settings, counters } = this.#options
    counters.late++
    const roundTrip = settings.clock.monotonic() - entry.acceptedAt
    if (replyLate.hasSubscribers) replyLate.publish(this.#received(entry, record, roundTrip))
    const read = readReply(entry, record, roundTrip)
    if (read instanceof Promise) void read.then((later) => this.#handOver(entry, roundTrip, later))
    else this.#handOver(entry, roundTrip, read)
  }

  #handOver({ operation, request, correlationId }: PendingReply, roundTrip: number, read: ReadReply): void {
    const { onLateReply } = this.#options.settings
    if (onLateReply === undefined) return
    const late: LateReply = {
      operation: operation.name,
      request,
      correlationId: correlationId.toString('hex'),
      roundTrip,
      reply: read instanceof MilenaError ? undefined : read,
      error: read instanceof MilenaError ? read : undefined,
    }
    const failed = (problem: unknown): void => this.#options.warn(problem as Error)
    try {
      onLateReply(late)?.catch(failed)
    } catch (problem) {
      failed(problem)
    }
  }

  #countOwn(record: IncomingRecord): void {
    this.#options.counters.ownRecordsRead++
    this.#options.counters.ownBytesRead += record.size
  }

  #countDuplicate(record: IncomingRecord): void {
    this.#options.counters.duplicate++
    if (replyDuplicate.hasSubscribers) replyDuplicate.publish(this.#stray(record))
  }

  #stray(record: IncomingRecord): StrayStep {
    const { profile, instanceId } = this.#options.settings
    const { topic, partition, offset } = record
    return {
      correlationId: profile.readCorrelation(record.headers)?.toString('hex'),
      instanceId,
      position: { topic, partition, offset },
    }
  }

  #received(entry: PendingReply, record: IncomingRecord, roundTrip: number): ReceivedStep {
    const { topic, partition, offset } = record
    const errorCode = readError(record.headers)?.code
    return {
      ...stepOf(entry, this.#options.settings.instanceId),
      position: { topic, partition, offset },
      roundTrip,
      errorCode,
    }
  }
}
