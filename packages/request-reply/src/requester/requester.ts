/**
 * The requester: sends requests and gives each its outcome.
 *
 *                      ┌─ reply ───────────────▶ replied | remote error | failed (unreadable)
 *   request ─▶ pending ┼─ not sent ────────────▶ failed
 *      │               ├─ deadline ────────────▶ timed out ┐
 *      └─▶ rejected    ├─ caller's signal ─────▶ cancelled ┴─ reply ─▶ late (handed over with its request)
 *                      └─ close(), after drain ▶ abandoned
 *
 * A request is registered before it is sent, and nothing is sent before the routing can receive: there is no instant
 * at which a reply could come and find nobody. How each comes to exactly one outcome: `pending-replies.ts`; what a record
 * from a reply topic means: `reply-receiver.ts`.
 */
import type { AnyOperation, Operation } from '../contract/operation.ts'
import { isTimeout, longestTimeout, untyped } from '../contract/operation.ts'
import { requestSent, warning } from '../diagnostics.ts'
import { Durations } from '../durations.ts'
import { MilenaError, OptionsError, TransportError } from '../errors.ts'
import { openRouting, type CompleteReplyRouting } from '../routing/open-routing.ts'
import { openTransport, type OpenedTransport } from '../transport/open.ts'
import type { OutgoingRecord } from '../transport/transport.ts'
import { readRequesterOptions, type RequesterOptions, type RequesterSettings } from './options.ts'
import { cancelledBefore, notReady } from './outcome-errors.ts'
import { PendingReplies } from './pending-replies.ts'
import { idOf, stepOf, type PendingReply } from './pending.ts'
import { Preparing } from './preparing.ts'
import { ReplyReceiver } from './reply-receiver.ts'
import type { Reply, RequestOptions } from './reply.ts'
import { checkRequest, recordBytes, RequestEncoder, type RequestBody } from './request-record.ts'
import { createCounters, type RequesterStats } from './stats.ts'
import { TopicDirectory } from './topic-directory.ts'

export interface Requester extends AsyncDisposable {
  readonly instanceId: string
  /**
   * Sends a request and waits for its reply.
   *
   * @throws ValidationError `MILENA_REQUEST_INVALID` with every failing path; nothing was sent.
   * @throws MilenaError `MILENA_OVERLOADED`, `MILENA_CLOSED`, `MILENA_CODEC_FAILED`: nothing was sent.
   * @throws OptionsError `MILENA_OPTIONS_INVALID`: options, or an operation's `key` or `partition`, that cannot work.
   * @throws TransportError `MILENA_TOPIC_MISSING`, `MILENA_NOT_SENT` and its other codes: nothing was sent.
   * @throws RemoteError `MILENA_REMOTE_ERROR`: the replier's error.
   * @throws TimeoutError `MILENA_TIMEOUT`: unknown; a later reply goes to `onLateReply`.
   * @throws MilenaError `MILENA_CANCELLED`, `MILENA_ABANDONED`: given up; the outcome is unknown.
   * @throws ValidationError `MILENA_REPLY_INVALID`: the work was done, the reply does not match the schema.
   */
  request<RequestInput, RequestOutput, ReplyInput, ReplyOutput>(
    operation: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
    value: RequestInput,
    options?: RequestOptions,
  ): Promise<Reply<ReplyOutput>>
  stats(): RequesterStats
  /**
   * Accepts no more, waits up to `timeout` ms (default `drainTimeout`) for pending replies, rejects what is left with
   * `MILENA_ABANDONED`, and closes everything that it opened. Later calls wait for the first.
   */
  close(options?: { readonly timeout?: number }): Promise<void>
}

/**
 * Opens a requester. When it resolves, replies can be received.
 *
 * @throws OptionsError `MILENA_OPTIONS_INVALID`, listing every problem.
 * @throws TransportError `MILENA_BROKER_UNREACHABLE`, `MILENA_TOPIC_MISSING` (the reply topic), `MILENA_NOT_AUTHORIZED`, …
 */
export async function createRequester(options: RequesterOptions): Promise<Requester> {
  const settings = readRequesterOptions(options)
  const opened = await openTransport('createRequester', options)
  const requester = new OpenRequester(settings, opened)
  try {
    await requester.open()
  } catch (error) {
    // Why it did not open is what the caller must learn.
    await requester.close({ timeout: 0 }).catch(() => undefined)
    throw error
  }
  return requester
}

/** Milliseconds that giving back the reply address may take: brokers that do not answer must not hold up `close()`. */
const routingCloseLimit = 5_000

class OpenRequester implements Requester {
  readonly #settings: RequesterSettings
  readonly #opened: OpenedTransport
  readonly #encoder: RequestEncoder
  readonly #topics: TopicDirectory
  readonly #preparing: Preparing
  readonly #pending: PendingReplies
  readonly #receiver: ReplyReceiver
  readonly #counters = createCounters()
  readonly #roundTrips = new Durations()
  #routing: CompleteReplyRouting | undefined
  #closing: Promise<void> | undefined
  #drained = false

  constructor(settings: RequesterSettings, opened: OpenedTransport) {
    this.#settings = settings
    this.#opened = opened
    this.#encoder = new RequestEncoder(settings)
    this.#topics = new TopicDirectory(opened.transport, settings.createTopics, settings.clock)
    this.#preparing = new Preparing(settings.clock)
    this.#pending = new PendingReplies(settings, this.#counters)
    this.#receiver = new ReplyReceiver({
      settings,
      pending: this.#pending,
      counters: this.#counters,
      roundTrips: this.#roundTrips,
      warn: (error) => this.#warn('onLateReply', error),
    })
  }

  get instanceId(): string {
    return this.#settings.instanceId
  }

  async open(): Promise<void> {
    const { replyRouting, instanceId, createTopics, clock } = this.#settings
    this.#routing = await openRouting(replyRouting, {
      transport: this.#opened.transport,
      instanceId,
      createTopics,
      resumeFrom: undefined,
      clock,
      receive: (records) => this.#receiver.receive(records),
      unreadable() {},
      onTrouble() {},
      warn: (error) => {
        // At close, work that is under way ends so.
        const ended = this.#closing !== undefined && (error as MilenaError).code === 'MILENA_CLOSED'
        if (!ended) this.#warn('reply routing', error)
      },
    })
  }

  request<RequestInput, RequestOutput, ReplyInput, ReplyOutput>(
    operation: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
    value: RequestInput,
    options: RequestOptions = {},
  ): Promise<Reply<ReplyOutput>> {
    // First of all: a question about the topic that begins now would fail with nobody there to hear of it.
    if (this.#closing !== undefined) return Promise.reject(this.#closedError())
    try {
      // Before any work: when there is too much already, a rejection must cost next to nothing.
      this.#checkCaps(untyped(operation), 0)
      const checked = checkRequest(untyped(operation), value)
      const topicReady = this.#topics.partitions(operation.topic)
      if (checked !== undefined || typeof topicReady !== 'number') {
        return this.#acceptLater(untyped(operation), value, options, Promise.all([topicReady, checked]))
      }
      const body = this.#encoder.encodeBody(untyped(operation), value, options)
      return this.#accept(untyped(operation), value, options, body, topicReady)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Waits for what the request needs first. The time that this takes comes off its timeout. */
  async #acceptLater<Output>(
    operation: AnyOperation,
    value: unknown,
    options: RequestOptions,
    ready: Promise<readonly [number, void]>,
  ): Promise<Reply<Output>> {
    const { clock } = this.#settings
    const begunAt = clock.monotonic()
    // Whatever becomes of this request, a failure of what it waits for is not an unhandled one.
    ready.catch(() => undefined)
    const timeout = this.#timeoutOf(operation, options)
    const body = tryTo(() => this.#encoder.encodeBody(operation, value, options))
    if (options.signal?.aborted) throw cancelledBefore(operation, options.signal)
    const bytes = 'failed' in body ? 0 : recordBytes(body.done)
    this.#checkCaps(operation, bytes)
    const [partitions] = await this.#preparing.wait(ready, {
      bytes,
      timeout,
      signal: options.signal,
      onTimeout: () => notReady(operation, timeout),
      onAbort: (signal) => cancelledBefore(operation, signal),
    })
    // Only now: a value that the schema refuses is more to the point than what its encoding stumbled upon.
    if ('failed' in body) throw body.failed
    return this.#accept(operation, value, options, body.done, partitions, clock.monotonic() - begunAt)
  }

  #timeoutOf(operation: AnyOperation, options: RequestOptions): number {
    const timeout = options.timeout ?? operation.timeout ?? this.#settings.timeout
    if (isTimeout(timeout)) return timeout
    throw new OptionsError(`operation ${operation.name}`, [
      `timeout must be 1 to ${longestTimeout} ms, not ${timeout}`,
    ])
  }

  #accept<Output>(
    operation: AnyOperation,
    value: unknown,
    options: RequestOptions,
    body: RequestBody,
    partitions: number,
    spent = 0,
  ): Promise<Reply<Output>> {
    if (this.#drained) throw this.#closedError()
    const timeout = this.#timeoutOf(operation, options)
    const left = spent === 0 ? timeout : Math.max(1, Math.ceil(timeout - spent))
    const correlationId = this.#settings.random(16)
    const route = {
      correlationId,
      address: this.#routing!.address(),
      deadline: this.#settings.clock.now() + left,
      partitions,
    }
    let record: OutgoingRecord
    try {
      record = this.#encoder.encode(operation, value, options, body, route)
    } catch (error) {
      this.#topics.doubt(operation.topic, error)
      throw error
    }
    // After the operation's own functions, which may have aborted it: a signal that has fired tells nobody again.
    if (options.signal?.aborted) throw cancelledBefore(operation, options.signal)
    const bytes = recordBytes(record)
    this.#checkCaps(operation, bytes)

    return new Promise((resolve, reject) => {
      const pending: PendingReply = {
        operation,
        request: value,
        correlationId,
        id: idOf(correlationId),
        timeout,
        acceptedAt: this.#settings.clock.monotonic(),
        bytes,
        position: undefined,
        replied: false,
        resolve,
        reject,
        unlisten: undefined,
        expiresAt: 0,
        previous: undefined,
        next: undefined,
        queue: undefined,
      }
      this.#pending.register(pending, left, options.signal)
      this.#opened.transport.send(record).then(
        (position) => {
          pending.position = position
          if (requestSent.hasSubscribers) {
            requestSent.publish({ ...stepOf(pending, this.instanceId), position })
          }
        },
        (error: Error) => this.#sendFailed(pending, error),
      )
    })
  }

  #checkCaps(operation: AnyOperation, bytes: number): void {
    const { maxPending, maxPendingBytes } = this.#settings
    const count = this.#pending.size + this.#preparing.size
    const held = this.#pending.bytes + this.#preparing.bytes
    if (count < maxPending && held + bytes <= maxPendingBytes) return
    this.#counters.rejected++
    throw withoutStack(
      () =>
        new MilenaError(
          'MILENA_OVERLOADED',
          `operation ${operation.name}: ${count} requests with ${held} bytes are pending; ` +
            `at most ${maxPending} (maxPending) with ${maxPendingBytes} bytes (maxPendingBytes) may be`,
        ),
    )
  }

  /** A record that may be in the log can still be answered: then the deadline decides. */
  #sendFailed(pending: PendingReply, error: Error): void {
    if (error instanceof TransportError && error.sent !== 'no') return
    this.#topics.doubt(pending.operation.topic, error)
    this.#pending.failUnsent(pending, error)
  }

  #warn(context: string, error: Error): void {
    if (warning.hasSubscribers)
      warning.publish({ context: `requester ${this.instanceId}: ${context}`, error })
    else
      process.emitWarning(`requester ${this.instanceId}: ${context}: ${error.message}`, {
        type: 'MilenaWarning',
      })
  }

  stats(): RequesterStats {
    return {
      instanceId: this.instanceId,
      routing: this.#settings.replyRouting.name,
      replyAddress: this.#routing!.address(),
      pending: this.#pending.size,
      pendingBytes: this.#pending.bytes,
      oldestPending: this.#pending.oldestAge,
      ...this.#counters,
      roundTrip: this.#roundTrips.summary(),
    }
  }

  close(options: { readonly timeout?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options.timeout ?? this.#settings.drainTimeout)
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(timeout: number): Promise<void> {
    await this.#drain(timeout)
    this.#drained = true
    this.#preparing.close(() => this.#closedError())
    this.#pending.close()
    const routingClosed = this.#routing?.close() ?? Promise.resolve()
    try {
      await this.#awaitRouting(routingClosed)
    } finally {
      if (this.#opened.owned) {
        await this.#opened.transport.close()
        // What the routing was still trying has been ended by that.
        await routingClosed
      }
    }
  }

  /** What was asked before `close()` counts, also while it waits for its topic: it is pending as soon as that is known. */
  async #drain(timeout: number): Promise<void> {
    const { clock } = this.#settings
    const until = clock.monotonic() + timeout
    const left = (): number => until - clock.monotonic()
    do {
      await this.#preparing.drain(left())
      await this.#pending.drain(left())
    } while (this.#pending.size > 0 && left() > 0)
  }

  #awaitRouting(closed: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#settings.clock.schedule(routingCloseLimit, () => {
        this.#warn(
          'close',
          new Error('the brokers did not answer in time: the reply address was not given back'),
        )
        resolve()
      })
      void closed.then(resolve, reject).finally(() => timer.cancel())
    })
  }

  #closedError(): MilenaError {
    return new MilenaError('MILENA_CLOSED', `requester ${this.instanceId} is closed`)
  }
}

/** For an error that comes by the ten thousand a second: its stack costs more than all else, and says nothing new. */
function withoutStack<Problem extends Error>(make: () => Problem): Problem {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return make()
  } finally {
    Error.stackTraceLimit = limit
  }
}

function tryTo<Result>(act: () => Result): { readonly done: Result } | { readonly failed: unknown } {
  try {
    return { done: act() }
  } catch (failed) {
    return { failed }
  }
}
