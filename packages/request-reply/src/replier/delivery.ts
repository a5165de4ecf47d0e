import type { Clock } from '../clock.ts'
import { replySent } from '../diagnostics.ts'
import { MilenaError, remoteCodes, TransportError } from '../errors.ts'
import type { RecordPosition, OutgoingRecord, Transport } from '../transport/transport.ts'
import { errorOf } from '../words.ts'
import type { Addressee } from './addressee.ts'
import type { Answers } from './answer.ts'
import type { Steps } from './steps.ts'
import type { Rooms } from './rooms.ts'
import type { ErrorOutcome, PassedOverOutcome, ReplyOutcome } from './outcome.ts'
import type { Job, PartitionWork } from './partition-work.ts'
import type { ReplyShares, Share } from './reply-shares.ts'
import type { ReplierCounters } from './stats.ts'
import type { Warnings } from '../warnings.ts'

/** Milliseconds before a reply is sent again: at first, doubled each time, at most. */
const firstPause = 100
const longestPause = 2_000

export interface DeliveryOptions {
  readonly transport: Transport
  readonly answers: Answers
  readonly clock: Clock
  readonly inHand: Rooms
  readonly shares: ReplyShares
  readonly counters: ReplierCounters
  readonly warnings: Warnings
  readonly steps: Steps
  /** Milliseconds that a reply is tried beyond its request's deadline, and in all when there is none. */
  readonly replyGrace: number
  readonly replyTimeout: number
  /** The transport was closed below the replier: nothing can be sent any more. */
  closedBelow(): void
}

/**
 * Sends replies until the brokers have them.
 *
 * A reply that may or may not be in the log is sent again: the requester tells duplicates apart, and a lost one would
 * leave it without an answer. Attempts end when the partition is let go, for then the request is handled again; when
 * nobody waits for the reply any more (`replyGrace`); when its address has taken its share of what may be in hand
 * (`reply-shares.ts`); and when the brokers say that they will never take it.
 */
export class Delivery {
  readonly #options: DeliveryOptions

  constructor(options: DeliveryOptions) {
    this.#options = options
  }

  /**
   * Gives the reply to the transport; then `acknowledged`, or `goOn` when that fails. Otherwise it is not sent at all, and
   * is passed over.
   */
  start(
    job: Job,
    to: Addressee,
    outcome: ReplyOutcome | ErrorOutcome,
  ): Promise<RecordPosition> | PassedOverOutcome {
    const { shares, answers } = this.#options
    const share = shares.enter(to.address, job.handledAt)
    job.share = share
    const record = answers.write(to, outcome)
    this.#hold(job, sizeOf(record))
    if (shares.isFull(share, job.handledAt)) return this.#end(job, this.#beyondShare(share, undefined))
    job.to = to
    job.replyUntil = undefined
    return this.#send(job, record)
  }

  /** All in-sync replicas have it. */
  acknowledged(job: Job, outcome: ReplyOutcome | ErrorOutcome, position: RecordPosition): 'delivered' {
    const { clock, shares } = this.#options
    job.sending = undefined
    job.deliveredAt = clock.monotonic()
    shares.acknowledged(job.share!, job.deliveredAt)
    this.#count(job, outcome, position)
    return this.#end(job, 'delivered')
  }

  /**
   * It was not acknowledged at once. `delivered`: it was at last. `given up`: the partition is gone, the request comes
   * again. Otherwise it is passed over, and says why. Never rejects.
   */
  async goOn(
    job: Job,
    to: Addressee,
    outcome: ReplyOutcome | ErrorOutcome,
    thrown: unknown,
  ): Promise<'delivered' | 'given up' | PassedOverOutcome> {
    const { clock, shares } = this.#options
    const { work } = job
    const share = job.share!
    let record = job.sending!
    let failure = errorOf(thrown)
    let pause = firstPause
    let told = false
    for (;;) {
      job.sending = undefined
      const smaller = isTooLarge(failure) ? this.#smaller(job, to, outcome, record) : undefined
      if (smaller !== undefined) {
        ;({ outcome, record } = smaller)
        this.#hold(job, sizeOf(record))
      } else {
        if (isClosed(failure)) {
          this.#options.closedBelow()
          return this.#end(job, 'given up')
        }
        if (isFinal(failure)) {
          shares.failed(share, failure, true)
          return this.#end(job, passedOver(`no reply to ${name(share)} is possible`, failure))
        }
        if (work.gone) return this.#end(job, 'given up')
        const until = this.#until(job)
        const isLate = clock.now() >= until
        shares.failed(share, failure, isLate)
        if (isLate) {
          const why = `no reply to ${name(share)} was acknowledged in time`
          return this.#end(job, until === 0 ? this.#beyondShare(share, failure) : passedOver(why, failure))
        }
        if (!told) {
          told = true
          this.#options.warnings.tell(
            'a reply was not acknowledged and is sent again',
            { ...this.#options.steps.of(job) },
            failure,
          )
        }
        await this.#sleep(Math.min(pause, until - clock.now()), work)
        if (work.gone) return this.#end(job, 'given up')
        pause = Math.min(longestPause, pause * 2)
      }
      try {
        return this.acknowledged(job, outcome, await this.#send(job, record))
      } catch (error) {
        failure = errorOf(error)
      }
    }
  }

  #send(job: Job, record: OutgoingRecord): Promise<RecordPosition> {
    job.sending = record
    try {
      return this.#options.transport.send(record)
    } catch (error) {
      return Promise.reject(errorOf(error)) // of a transport that somebody else wrote
    }
  }

  /** What its reply takes, until that is delivered or given up. */
  #hold(job: Job, bytes: number): void {
    const change = bytes - job.replyBytes
    job.replyBytes = bytes
    job.bytes += change
    this.#options.inHand.of(job.work).resize(job.work, change)
  }

  #end<End>(job: Job, end: End): End {
    this.#hold(job, 0)
    this.#options.shares.leave(job.share!)
    job.share = undefined
    return end
  }

  /** The reply of a handler whose request has been answered with `handlerTimeout`: once, and nothing hangs on it. */
  async deliverLate(job: Job, to: Addressee, outcome: ReplyOutcome): Promise<void> {
    try {
      this.#count(job, outcome, await this.#options.transport.send(this.#options.answers.write(to, outcome)))
    } catch (error) {
      this.#options.warnings.tell(
        'the late reply of a handler was not acknowledged',
        { ...this.#options.steps.at(to.record, job.attempt) },
        error,
      )
    }
  }

  /** Takes back what is tried for too long, or is one too many for its address; its `deliver` then says so. */
  look(job: Job, now: number): void {
    const { sending, share } = job
    if (sending === undefined) return
    const { shares, clock, transport } = this.#options
    if (share !== undefined && shares.isBeyond(share, now)) job.replyUntil = 0
    if (clock.now() >= this.#until(job)) transport.withdraw(sending)
  }

  /** Worked out when it is asked for, which is for few. */
  #until(job: Job): number {
    if (job.replyUntil !== undefined) return job.replyUntil
    const { clock, replyGrace, replyTimeout } = this.#options
    const ready = clock.now() - (clock.monotonic() - job.handledAt)
    const deadline = job.to?.context?.deadline
    return (job.replyUntil =
      deadline === undefined ? ready + replyTimeout : Math.max(ready, deadline) + replyGrace)
  }

  #beyondShare(share: Share, failure: Error | undefined): PassedOverOutcome {
    const error = failure ?? share.error ?? new Error('nothing was acknowledged')
    this.#options.shares.failed(share, error, true)
    return passedOver(`${name(share)} acknowledges nothing, and has its share of what may be in hand`, error)
  }

  #count(job: Job, outcome: ReplyOutcome | ErrorOutcome, reply: RecordPosition): void {
    const { counters, steps } = this.#options
    counters.replied++
    if (outcome.kind === 'error') counters.countErrorReply(outcome.code)
    if (replySent.hasSubscribers) replySent.publish({ ...steps.of(job), reply })
  }

  /**
   * What is sent instead of a reply that is too large: of a value, an error that says that the work was done; of an error,
   * the same without copied headers, and then without the key, which is the request's. `undefined`: nothing is smaller.
   */
  #smaller(
    job: Job,
    to: Addressee,
    outcome: ReplyOutcome | ErrorOutcome,
    record: OutgoingRecord,
  ): { outcome: ErrorOutcome; record: OutgoingRecord } | undefined {
    const { answers, warnings, steps } = this.#options
    if (outcome.kind === 'reply') {
      const bytes = outcome.value?.length ?? 0
      warnings.tell('a reply is too large for its topic', { ...steps.of(job), valueBytes: bytes })
      const message = `the reply's value has ${bytes} bytes; with its headers that is more than the reply topic accepts`
      const instead: ErrorOutcome = { kind: 'error', code: remoteCodes.replyInvalid, message, effect: 'done' }
      return { outcome: instead, record: answers.write(to, instead) }
    }
    if (record.key === null && outcome.headers === undefined) return undefined
    const { headers: _, ...plain } = outcome
    return { outcome: plain, record: answers.write(to, plain, outcome.headers !== undefined) }
  }

  #sleep(delay: number, work: PartitionWork): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        timer.cancel()
        work.sleeping.delete(wake)
        resolve()
      }
      const timer = this.#options.clock.schedule(delay, wake)
      work.sleeping.add(wake)
    })
  }
}

/** What it takes beside the request's key, which it shares. */
function sizeOf(record: OutgoingRecord): number {
  let bytes = record.value?.length ?? 0
  for (const [header, value] of record.headers) bytes += header.length + (value?.length ?? 0)
  return bytes
}

function name({ topic, partition }: Share): string {
  return partition === undefined ? JSON.stringify(topic) : `${JSON.stringify(topic)} partition ${partition}`
}

function passedOver(what: string, failure: Error): PassedOverOutcome {
  const why = failure instanceof MilenaError ? `${failure.code}: ${failure.message}` : failure.name
  return { kind: 'passed over', reason: 'reply-undeliverable', detail: `${what}: ${why}` }
}

/** Only what the transport itself says, and says for certain; anything else means that the reply may be in the log. */
function isRefusal(failure: Error): failure is TransportError {
  return failure instanceof TransportError && failure.sent === 'no'
}

function isTooLarge(failure: Error): boolean {
  return isRefusal(failure) && failure.code === 'MILENA_RECORD_TOO_LARGE'
}

function isClosed(failure: Error): boolean {
  return failure instanceof MilenaError && failure.code === 'MILENA_CLOSED'
}

/** Whether the brokers will never take this record. */
function isFinal(failure: Error): boolean {
  if (!isRefusal(failure)) return false
  switch (failure.code) {
    case 'MILENA_TOPIC_MISSING':
    case 'MILENA_PARTITION_MISSING':
    case 'MILENA_NOT_AUTHORIZED':
    case 'MILENA_RECORD_TOO_LARGE':
      return true
    case 'MILENA_BROKER_ERROR':
      return !failure.retryable
    default:
      return false
  }
}
