/**
 * The step from a prepared request to a pending one.
 *
 * Whatever the application has to say is called first: its headers' hook, subscribers of the tracing channel, the
 * operation's `partition`, its signal. From the registering to the sending nothing runs but the library.
 */
import { requestTracing, type RequestTrace } from '../diagnostics.ts'
import type { ReplyAddress } from '../wire/profile.ts'
import type { TopicDirectory } from './topic-directory.ts'
import type { Caps } from './caps.ts'
import type { FurtherHeaders } from './further-headers.ts'
import type { RequesterSettings } from './options.ts'
import { cancelledBefore, reasonOf } from './outcome-errors.ts'
import { idOf, stepOf, type PendingReply } from './pending.ts'
import type { PendingReplies } from './pending-replies.ts'
import { refused, withinDeadline } from './read-options.ts'
import type { Receiving } from './receiving.ts'
import { recordBytes, type RequestEncoder } from './request-record.ts'
import { isAborted, listen } from './signals.ts'

export interface AcceptanceOptions {
  readonly settings: Pick<RequesterSettings, 'clock' | 'random' | 'instanceId'>
  readonly further: FurtherHeaders
  readonly encoder: RequestEncoder
  readonly topics: TopicDirectory
  readonly caps: Caps
  readonly receiving: Receiving
  readonly pending: PendingReplies
  address(pending: PendingReply): ReplyAddress
  /** With what a correlation id begins, if with anything. */
  correlationPrefix(pending: PendingReply): Buffer | undefined
}

export class Acceptance {
  readonly #options: AcceptanceOptions

  constructor(options: AcceptanceOptions) {
    this.#options = options
  }

  /**
   * Registers it, and calls `then`: within what subscribers of the tracing channel have entered, where there are any.
   *
   * @param correlationId the caller's own; default: a random one
   * @throws MilenaError of whatever is in its way; then it was not accepted
   */
  accept<Result>(
    pending: PendingReply,
    correlationId: Buffer | undefined,
    then: (pending: PendingReply) => Result,
  ): Result {
    pending.correlationId = correlationId ?? this.#newId(pending)
    pending.id = idOf(pending.correlationId)
    if (!requestTracing.hasSubscribers) {
      this.#register(pending, undefined)
      return then(pending)
    }
    return this.#traced(pending, then)
  }

  #newId(pending: PendingReply): Buffer {
    const id = this.#options.settings.random(16)
    this.#options.correlationPrefix(pending)?.copy(id)
    return id
  }

  #register(pending: PendingReply, trace: RequestTrace | undefined): void {
    const { settings, encoder, further, topics, caps, receiving } = this.#options
    const { operation } = pending
    if (!receiving.isOpenFor(pending)) throw receiving.refusal(pending)
    const beside = further.of(pending, pending.correlationId, trace)
    const { clock } = settings
    const { spent, timeout } = pending
    const now = clock.now()
    const wanted = spent === 0 ? timeout : Math.max(1, Math.ceil(timeout - spent))
    const left = withinDeadline(pending, wanted, now)
    try {
      pending.record = encoder.encode(pending, beside, this.#options.address(pending), now, left)
    } catch (error) {
      topics.doubt(operation.topic, error)
      throw error
    }
    const { key, value, headers } = pending.record
    pending.bytes = recordBytes(key, value, headers)
    if (pending.signal !== undefined)
      pending.unlisten = listen(pending, () => this.#options.pending.cancel(pending))
    try {
      // After all that is the application's, which may have aborted it: a signal that has fired tells nobody again.
      if (isAborted(pending)) throw cancelledBefore(operation, reasonOf(pending.signal))
      caps.check(operation, pending.bytes)
      // A random one is nobody else's.
      if (pending.staged && this.#options.pending.get(pending.id) !== undefined)
        throw refused(operation, 'its correlation id is that of another request which is pending')
    } catch (error) {
      pending.unlisten?.()
      throw error
    }
    this.#options.pending.register(pending, left)
  }

  #traced<Result>(pending: PendingReply, then: (pending: PendingReply) => Result): Result {
    const trace: RequestTrace = { ...stepOf(pending, this.#options.settings.instanceId), headers: [] }
    return requestTracing.start.runStores(trace, () => {
      try {
        this.#register(pending, trace)
        pending.trace = trace
        return then(pending)
      } catch (error) {
        trace.error = error
        requestTracing.error.publish(trace)
        throw error
      } finally {
        requestTracing.end.publish(trace)
      }
    })
  }
}
