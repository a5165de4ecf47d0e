/**
 * The requests that wait for their outcome, and how each comes to it.
 *
 * Whoever takes an entry out of the map gives it its outcome, and an entry can be taken out only once: hence exactly
 * one outcome. What was given up is remembered, within bounds, so that a reply that comes all the same is told apart.
 */
import type { Clock } from '../clock.ts'
import { requestAccepted, requestEnded, requestTracing, type RequestOutcome } from '../diagnostics.ts'
import type { MilenaError, TransportError } from '../errors.ts'
import { PassingMap } from '../passing-map.ts'
import { wordsOf } from '../words.ts'
import type { IncomingRecord, RecordPosition } from '../transport/transport.ts'
import type { Caps } from './caps.ts'
import { Deadlines } from './deadlines.ts'
import { Drain } from './drain.ts'
import type { ReplySeen } from './memory.ts'
import type { OutcomeName } from './operation-accounts.ts'
import { withGathered, type Gathered } from './gathered.ts'
import {
  abandoned,
  cancelled,
  gatherFailed,
  reasonOf,
  rejecting,
  sentStateOf,
  timedOut,
  unsent,
} from './outcome-errors.ts'
import { stepOf, type PendingReply } from './pending.ts'
import type { ReadReply } from './read-reply.ts'
import { RememberedRequests } from './remembered.ts'
import type { Reply } from './reply.ts'

export interface PendingRepliesOptions {
  readonly instanceId: string
  readonly clock: Clock
  /** How many entries with an outcome are remembered, and how many bytes of requests without a reply. */
  readonly remember: number
  readonly maxPendingBytes: number
  readonly caps: Caps
  /** Takes back what the transport has not sent yet. */
  withdraw(pending: PendingReply): void
  /** Resolves when replies that have come by now were handed over; bounded. */
  catchUp(): Promise<void>
  /** What is known of why a reply has not come, and where it was to come. */
  reasonSince(pending: PendingReply): string | undefined
  replyTopic(pending: PendingReply): string
  /** A request without a reply is not remembered any more. */
  onForgotten(): void
  /** A request that stands in the journal has its outcome. */
  onJournaledEnded(pending: PendingReply, outcome: RequestOutcome, came: Reply<unknown> | Error): void
}

const counterOf: Readonly<Record<RequestOutcome, OutcomeName>> = {
  replied: 'replied',
  partial: 'partial',
  'remote-error': 'remoteErrors',
  'timed-out': 'timedOut',
  cancelled: 'cancelled',
  failed: 'failed',
  abandoned: 'abandoned',
}

export class PendingReplies {
  readonly #options: PendingRepliesOptions
  readonly #pending = new PassingMap<string, PendingReply>()
  readonly #deadlines: Deadlines<PendingReply>
  /** Those that have their outcome. */
  readonly remembered: RememberedRequests
  readonly #drain: Drain
  #bytes = 0

  constructor(options: PendingRepliesOptions) {
    this.#options = options
    const { clock, remember, maxPendingBytes } = options
    this.#deadlines = new Deadlines(
      clock,
      (pending) => this.#expire(pending),
      () => options.catchUp(),
    )
    this.remembered = new RememberedRequests(remember, maxPendingBytes, () => options.onForgotten())
    this.#drain = new Drain(clock)
  }

  get size(): number {
    return this.#pending.size
  }

  /** Bytes of the pending requests' keys, values and headers. */
  get bytes(): number {
    return this.#bytes
  }

  /** Milliseconds since the oldest was accepted; 0 when there is none. */
  get oldestAge(): number {
    const oldest: PendingReply | undefined = this.#pending.values().next().value
    return oldest === undefined ? 0 : this.#options.clock.monotonic() - oldest.acceptedAt
  }

  /** From now on the request is accepted: it ends in one outcome. */
  register(pending: PendingReply, timeout: number): void {
    pending.stage = 'pending'
    pending.acceptedAt = this.#options.clock.monotonic()
    this.#pending.set(pending.id, pending)
    this.#bytes += pending.bytes
    this.#options.caps.take(pending.bytes)
    pending.account.counts.accepted++
    this.#deadlines.add(pending, timeout, pending.acceptedAt)
  }

  /** To be told apart from registering: a subscriber is somebody else's code, and nothing of that runs before it is sent. */
  publishAccepted(pending: PendingReply): void {
    if (requestAccepted.hasSubscribers) requestAccepted.publish(stepOf(pending, this.#options.instanceId))
  }

  /** The correlation ids of what is pending and is answered in this reply topic, the oldest first. */
  *ids(of: string | undefined): Generator<Buffer> {
    for (const { correlationId, replyTopic } of this.#pending.values())
      if (replyTopic === of) yield correlationId
  }

  get(id: string): PendingReply | undefined {
    return this.#pending.get(id)
  }

  /** The reply is its outcome; false when it has another one already. */
  reply(pending: PendingReply, reply: Reply<never>, fingerprint: number, at: RecordPosition): boolean {
    if (!this.#take(pending)) return false
    this.remembered.answered(pending.correlationId, fingerprint, at)
    this.#end(pending, 'replied', undefined, reply)
    pending.resolve(reply)
    return true
  }

  /**
   * The reply is an error, or cannot be read; false when it has its outcome already.
   *
   * @param keep it leaves open what the request did: another reply may come that says so
   */
  refuse(
    pending: PendingReply,
    outcome: 'remote-error' | 'failed',
    error: Error,
    seen: ReplySeen,
    keep: boolean,
  ): boolean {
    if (!this.#take(pending)) return false
    if (keep) this.remembered.keepOpen(pending, seen)
    else this.remembered.answered(pending.correlationId, seen.fingerprint, seen.position)
    this.#fail(pending, outcome, error)
    return true
  }

  /** Room for one more of several replies; without it, that is its outcome. */
  admit(pending: PendingReply, record: IncomingRecord): boolean {
    const gathering = pending.gathering!
    const { caps } = this.#options
    const bytes = gathering.sizeOf(record)
    if (!gathering.isFull && caps.fits(bytes)) {
      gathering.admit(bytes)
      caps.resize(bytes)
      this.#bytes += bytes
      return true
    }
    const why = gathering.isFull
      ? `more than ${gathering.maxReplies} replies and errors (maxReplies) came before it was enough`
      : `what has come, and what else is pending, has more than ${this.#options.maxPendingBytes} bytes (maxPendingBytes)`
    this.#failGather(pending, gatherFailed(pending, 'MILENA_TOO_MANY_REPLIES', why))
    return false
  }

  /** One of several replies was read; it may be the last that is waited for. */
  gather(pending: PendingReply, record: IncomingRecord, read: ReadReply): void {
    const gathering = pending.gathering!
    gathering.add(record, read)
    let released: boolean
    try {
      released = gathering.isReleased()
    } catch (thrown) {
      const why = `its until, the release predicate, failed: ${wordsOf(thrown)}`
      return this.#failGather(pending, gatherFailed(pending, 'MILENA_UNTIL_FAILED', why, thrown))
    }
    // The predicate is the application's: it may have ended the request itself.
    if (!released || !this.#take(pending)) return
    forgetRecord(pending)
    this.remembered.released(pending)
    this.#handOver(pending, 'replied')
  }

  /** Ends a request that was certainly not sent. */
  failUnsent(pending: PendingReply, cause: TransportError): void {
    if (this.#take(pending)) this.#fail(pending, 'failed', unsent(pending, cause))
  }

  /** Ends a request that was not sent, with the error that says so. */
  refuseUnsent(pending: PendingReply, error: MilenaError): void {
    if (this.#take(pending)) this.#fail(pending, 'failed', error)
  }

  /** Its caller gives it up; the error is the caller's own. False when it has its outcome already. */
  settle(pending: PendingReply, error: Error): boolean {
    if (!this.#take(pending)) return false
    this.#giveUp(pending)
    this.#end(pending, 'failed', error)
    pending.resolve(Promise.reject(error))
    return true
  }

  cancel(pending: PendingReply): void {
    if (!this.#take(pending)) return
    this.#giveUp(pending)
    this.#fail(pending, 'cancelled', cancelled(pending, reasonOf(pending.signal)))
  }

  /** Ends all that is pending: no reply will come, or be heard. */
  abandon(cause?: Error): void {
    for (const pending of this.#pending.values()) {
      this.#take(pending)
      this.#giveUp(pending)
      this.#fail(pending, 'abandoned', abandoned(pending, cause))
    }
  }

  /** Resolves when nothing is pending, at the latest after `timeout` ms. */
  drain(timeout: number): Promise<void> {
    return this.#pending.size === 0 ? Promise.resolve() : this.#drain.wait(timeout)
  }

  /** Ends what is still pending, and every timer. */
  close(): void {
    this.abandon()
    this.#deadlines.close()
  }

  #take(pending: PendingReply): boolean {
    if (!this.#pending.delete(pending.id)) return false
    pending.stage = 'ended'
    this.#bytes -= pending.bytes
    this.#deadlines.remove(pending)
    pending.unlisten?.()
    pending.unlisten = undefined
    if (pending.inFlight === 0 && !pending.held) this.#options.caps.letGo(pending.bytes)
    const gathered = pending.gathering?.bytes
    if (gathered !== undefined) {
      this.#bytes -= gathered
      this.#options.caps.resize(-gathered)
    }
    if (this.#pending.size === 0) this.#drain.empty()
    return true
  }

  #expire(pending: PendingReply): void {
    if (!this.#take(pending)) return
    this.#giveUp(pending)
    if (pending.gathering?.hasReplies === true) return this.#handOver(pending, 'partial')
    const why = this.#options.reasonSince(pending)
    this.#fail(pending, 'timed-out', timedOut(pending, this.#options.replyTopic(pending), why))
  }

  /** Without an answer: what comes is late. With one that is still being read: what comes is a second one. */
  #giveUp(pending: PendingReply): void {
    this.#options.withdraw(pending)
    forgetRecord(pending)
    if (sentStateOf(pending) !== 'no') this.remembered.givenUp(pending) // else nobody can answer it
  }

  #failGather(pending: PendingReply, error: Error): void {
    if (!this.#take(pending)) return
    this.#giveUp(pending)
    this.#fail(pending, 'failed', error)
  }

  /** Several replies, or some of them, are its outcome. */
  #handOver(pending: PendingReply, outcome: 'replied' | 'partial'): void {
    const gathered = this.#gathered(pending, outcome === 'replied')
    this.#end(pending, outcome, undefined)
    pending.resolve(gathered)
  }

  #gathered(
    { gathering, correlationId, position, acceptedAt }: PendingReply,
    complete: boolean,
  ): Gathered<never> {
    const duration = this.#options.clock.monotonic() - acceptedAt
    return gathering!.finish(complete, correlationId.toString('hex'), position, duration)
  }

  #fail(pending: PendingReply, outcome: RequestOutcome, error: Error): void {
    if (pending.gathering !== undefined) withGathered(error, this.#gathered(pending, false))
    this.#end(pending, outcome, error)
    pending.resolve(rejecting(error))
  }

  #end(
    pending: PendingReply,
    outcome: RequestOutcome,
    error: Error | undefined,
    reply?: Reply<unknown>,
  ): void {
    pending.account.counts[counterOf[outcome]]++
    if (pending.journaled) this.#options.onJournaledEnded(pending, outcome, reply ?? error!)
    if (requestEnded.hasSubscribers) {
      const duration = this.#options.clock.monotonic() - pending.acceptedAt
      requestEnded.publish({ ...stepOf(pending, this.#options.instanceId), outcome, duration, error })
    }
    const { trace } = pending
    if (trace === undefined) return
    pending.trace = undefined
    if (error === undefined) trace.result = outcome
    else {
      trace.error = error
      requestTracing.error.publish(trace)
    }
    requestTracing.asyncStart.publish(trace)
    requestTracing.asyncEnd.publish(trace)
  }
}

/** What goes out is not needed any more. */
function forgetRecord(pending: PendingReply): void {
  pending.record = undefined
  pending.further = undefined
  pending.value = null
  pending.headers = []
}
