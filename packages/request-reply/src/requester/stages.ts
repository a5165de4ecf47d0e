/**
 * The stages of a request, each by itself: for whoever keeps a journal, tries again, or takes several replies.
 *
 *   prepare ─▶ register ─▶ dispatch (again and again) ─▶ a reply, the deadline, `settle` or `close()`: one outcome
 */
import type { MilenaError } from '../errors.ts'
import type { OutgoingRecord, RecordPosition } from '../transport/transport.ts'
import type { RawHeader } from '../wire/headers.ts'
import type { PendingReply } from './pending.ts'
import type { Reply } from './reply.ts'

/** A request that was checked and encoded. Nothing is accepted yet, and nothing is held for it but its memory. */
export interface PreparedRequest<ReplyOutput> {
  /** The operation's name. */
  readonly operation: string
  readonly topic: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  /** Those that its caller gave, and its codec; the library's own come when it is registered. */
  readonly headers: readonly RawHeader[]
  /** What makes doing it again harmless, where its operation or its caller says so. */
  readonly idempotencyKey: string | undefined
  /** Milliseconds that it waits for its reply. */
  readonly timeout: number
  /** Only for its type. */
  readonly reply?: ReplyOutput
}

export interface RegisterOptions<ReplyOutput> {
  /**
   * 16 bytes that no other request has; default: random ones. For a request that was registered before, such as by an
   * instance that was killed: what was sent of it then is not known here, and no error will say that it was not sent.
   */
  readonly correlationId?: Buffer | undefined
  /**
   * Called with each reply, or error that came as one, in order. `more`: the request stays pending, until its deadline,
   * for another one; anything else: this one is its outcome. When it throws, that is a warning, and the outcome is this.
   */
  readonly onReply?: ((outcome: Reply<ReplyOutput> | MilenaError) => 'done' | 'more') | undefined
}

/** A request that was accepted: it comes to exactly one outcome, which is `reply`'s. */
export interface PendingRequest<ReplyOutput> {
  /** 16 bytes. */
  readonly correlationId: Buffer
  /** What `dispatch` sends. Its buffers must stay as they are. */
  readonly record: OutgoingRecord
  /** The positions from which its reply can appear, for `resumeFrom`; empty when the routing cannot say. */
  readonly repliesFrom: readonly RecordPosition[]
  /**
   * The outcome. Whoever does not look at it, such as with `onReply`, is not held for a rejection that nobody handles.
   *
   * @throws as `Requester.request`, without those errors that come before a request is accepted
   */
  readonly reply: Promise<Reply<ReplyOutput>>
  /**
   * Sends the record, and resolves when the brokers have it; may be called again, for a retry. A send that fails does not
   * end the request: its caller decides, or the deadline. It need not be looked at.
   *
   * @throws TransportError as `Transport.send`; MilenaError `MILENA_NOT_SENT` when the request has its outcome already
   */
  dispatch(): Promise<RecordPosition>
  /**
   * Gives the request up with this error as its outcome. What is not on the wire yet is taken back; a reply that comes all
   * the same is late. False, and nothing happens, when it has its outcome already.
   */
  settle(error: Error): boolean
}

/** The stages' way to the library's own object; what is public of it cannot be changed by whoever has it. */
const prepared = new WeakMap<object, PendingReply>()

export function publish<ReplyOutput>(pending: PendingReply): PreparedRequest<ReplyOutput> {
  const { operation, key, value, headers, idempotencyKey, timeout } = pending
  const request = Object.freeze({
    operation: operation.name,
    topic: operation.topic,
    key,
    value,
    headers,
    idempotencyKey,
    timeout,
  })
  prepared.set(request, pending)
  return request
}

/** The request, unless it is none, or was registered already. */
export function unregistered(request: unknown): PendingReply | undefined {
  const pending = typeof request === 'object' && request !== null ? prepared.get(request) : undefined
  return pending?.stage === 'prepared' ? pending : undefined
}
