/**
 * The requester: sends requests and gives each its outcome.
 *
 *                      ┌─ reply ───────────────▶ replied | remote error ¹ | failed (unreadable)
 *   request ─▶ pending ┼─ not sent ────────────▶ failed
 *      │               ├─ deadline ────────────▶ timed out ¹ ┐
 *      └─▶ rejected    ├─ caller's signal ─────▶ cancelled ¹ ┴─ reply ─▶ late (handed over with its request)
 *                      └─ close(), after drain ▶ abandoned
 *
 * ¹ An error that leaves its effect open is remembered as a request that was given up is: a reply may follow. What the
 * transport has not sent yet is taken back when a request is given up, and then its error says that it was not sent.
 *
 * A request is registered before it is sent, and nothing is sent before the routing can receive: there is no instant
 * at which a reply could come and find nobody. How each comes to exactly one outcome: `pending-replies.ts`; what a record
 * from a reply topic means: `reply-receiver.ts`.
 */
import type { Operation } from '../contract/operation.ts'
import { openTransport } from '../transport/open.ts'
import type { EachResults } from './each.ts'
import type { RequestEachOptions } from './each-options.ts'
import { OpenRequester } from './open-requester.ts'
import { readRequesterOptions, type RequesterOptions } from './options.ts'
import type { OutcomeKey, FoundOutcome } from './outcome.ts'
import type { Gathered, RequestManyOptions } from './gathered.ts'
import type { OutcomeOptions } from './outcome-options.ts'
import type { Reply, RequestOptions } from './reply.ts'
import type { RecordPosition } from '../transport/transport.ts'
import type { SendOptions } from './send-options.ts'
import type { PendingRequest, PreparedRequest, RegisterOptions } from './stages.ts'
import type { RequesterHealth, RequesterStats } from './stats.ts'

export interface Requester extends AsyncDisposable {
  readonly instanceId: string
  /**
   * Sends a request and waits for its reply. Requests of one key are sent in the order in which they were asked, also
   * while an asynchronous schema or codec, or the first description of their topic, is being waited for.
   *
   * An error says what is known of the request: `sent`, `outcomeKnown`, `effect`, `retryable`. One of a request that was
   * accepted has it in `request`, and names the function that was waiting in its stack.
   *
   * @throws ValidationError `MILENA_REQUEST_INVALID` with every failing path; nothing was sent.
   * @throws MilenaError `MILENA_OVERLOADED`, `MILENA_CLOSED`, `MILENA_NOT_RECEIVING`, `MILENA_CODEC_FAILED`,
   *   `MILENA_RECORD_TOO_LARGE` (`maxPendingBytes`): nothing was sent.
   * @throws OptionsError `MILENA_OPTIONS_INVALID`: options, or an operation's `key` or `partition`, that cannot work.
   * @throws TransportError `MILENA_TOPIC_MISSING`, `MILENA_NOT_SENT` and its other codes: nothing was sent.
   * @throws RemoteError `MILENA_REMOTE_ERROR`: the replier's error. Unless its `effect` is known, a reply may follow, and goes
   *   to `onLateReply`.
   * @throws TimeoutError `MILENA_TIMEOUT`: unknown; a later reply goes to `onLateReply`.
   * @throws MilenaError `MILENA_CANCELLED`, `MILENA_ABANDONED`: given up; unknown, unless `sent` is `no`.
   * @throws ValidationError `MILENA_REPLY_INVALID`: the work was done; the reply does not match the schema, or is larger than
   *   `maxReplyBytes`.
   * @throws MilenaError `MILENA_CODEC_FAILED` with `sent: 'yes'`: the work was done; the reply cannot be decoded.
   */
  request<RequestInput, RequestOutput, ReplyInput, ReplyOutput>(
    operation: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
    value: RequestInput,
    options?: RequestOptions,
  ): Promise<Reply<ReplyOutput>>
  /**
   * Sends one request that several consumer groups answer, and gathers their replies: until `count` have come, or the
   * release predicate `until` says so. When the timeout comes first, it resolves all the same with what has come, if that
   * is a reply at least: `complete` is false then. Each group counts once; an error is gathered in `errors` and counts
   * towards nothing. What comes after the outcome goes to `onLateReply`.
   *
   * An error of a request that was accepted has what had come by then: `gatheredIn(error, operation)`. Not for operations
   * that the journal covers, nor with a routing that keeps one reply for each request (`redisRelay`).
   *
   * @throws as `request`, without those errors that are a reply's (they are in `errors`)
   * @throws TimeoutError `MILENA_TIMEOUT`: not one reply came.
   * @throws MilenaError `MILENA_UNTIL_FAILED`: the release predicate failed.
   * @throws MilenaError `MILENA_TOO_MANY_REPLIES`: more came than `maxReplies` or `maxPendingBytes` allows.
   */
  requestMany<RequestInput, RequestOutput, ReplyInput, ReplyOutput>(
    operation: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
    value: RequestInput,
    options: RequestManyOptions<ReplyOutput>,
  ): Promise<Gathered<ReplyOutput>>
  /**
   * Sends a request that nobody waits for: without correlation id and reply address, so its replier does the work, answers
   * nobody and commits. Resolves with where it stands, once all in-sync replicas have it; of one key, requests and what is
   * sent one way stand in the order in which they were asked. It counts against `maxPending` and `maxPendingBytes` until then,
   * needs no routing that can receive, and is not written into the journal (`docs/outbox.md` is for what must be sent with
   * a transaction).
   *
   * It is bounded by the transport's `deliveryTimeout`, and before that, while a schema or the topic's first description is
   * waited for, by the operation's timeout.
   *
   * @throws as `request` of one that is not accepted, but never `MILENA_NOT_RECEIVING`
   * @throws TransportError `MILENA_NOT_SENT`, `MILENA_SEND_UNKNOWN`, `MILENA_RECORD_TOO_LARGE`, …: `sent` says what is known
   * @throws MilenaError `MILENA_CANCELLED`, `MILENA_ABANDONED` (the requester was closed): likewise
   */
  send<RequestInput, RequestOutput, ReplyInput, ReplyOutput>(
    operation: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
    value: RequestInput,
    options?: SendOptions,
  ): Promise<RecordPosition>
  /**
   * Sends a request for each item and gives its outcome as it comes: `for await (const { item, reply, error } of …)`. At most
   * `concurrency` of them are in flight, or have ended and were not taken; the next item is asked for when there is room,
   * and when the one before it was accepted, so that items of one key are requested in their order. So memory stays
   * flat however many there are.
   *
   * An error of a request is a result. Where others fill the requester (`MILENA_OVERLOADED`) it waits. `break` cancels what
   * is in flight. A source that throws, and a requester that is closed meanwhile, end the iteration with that error,
   * once all results were taken.
   *
   * @throws OptionsError at once, of an operation, items or options that cannot work
   */
  requestEach<RequestInput, RequestOutput, ReplyInput, ReplyOutput, Item extends RequestInput>(
    operation: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
    items: Iterable<Item> | AsyncIterable<Item>,
    options?: RequestEachOptions<Item>,
  ): EachResults<Item, ReplyOutput>
  /**
   * The first stage by itself: checks and encodes. Nothing is accepted or sent. Rejects as `request` does before it
   * accepts.
   */
  prepare<RequestInput, RequestOutput, ReplyInput, ReplyOutput>(
    operation: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
    value: RequestInput,
    options?: RequestOptions,
  ): Promise<PreparedRequest<ReplyOutput>>
  /**
   * The second stage: accepts a prepared request, once. Its timeout begins, and its reply can be received; nothing is sent
   * before `PendingRequest.dispatch`.
   *
   * @throws OptionsError when it was registered already, or its options cannot work
   * @throws MilenaError `MILENA_OVERLOADED`, `MILENA_CLOSED`, `MILENA_NOT_RECEIVING`, `MILENA_PARTITION_MISSING`, …
   */
  register<ReplyOutput>(
    prepared: PreparedRequest<ReplyOutput>,
    options?: RegisterOptions<ReplyOutput>,
  ): PendingRequest<ReplyOutput>
  /**
   * Asks the repliers of an operation what became of the request with this idempotency key (or, where it had none, of this
   * correlation id): for a request that timed out, or that a process before this one had made. Its repliers need
   * `idempotency`. What cannot be found out is `unknown`, and says why; also when nobody answers within the timeout.
   *
   * @throws OptionsError, and what `request` throws of a request that is not accepted or is cancelled
   */
  outcome<RequestInput, RequestOutput, ReplyInput, ReplyOutput>(
    operation: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
    key: OutcomeKey,
    options?: OutcomeOptions,
  ): Promise<FoundOutcome<ReplyOutput>>
  stats(): RequesterStats
  /** How it is now: whether replies can be received, and what it holds. */
  health(): RequesterHealth
  /**
   * Accepts no more, waits up to `timeout` ms (default `drainTimeout`; `Infinity`: without a bound) for pending replies,
   * rejects what is left with `MILENA_ABANDONED`, and closes everything that it opened. Later calls wait for the first.
   * When the transport was closed before, there is nothing to wait for.
   *
   * @throws OptionsError of a timeout that is none; then nothing is closed
   */
  close(options?: { readonly timeout?: number | undefined }): Promise<void>
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
