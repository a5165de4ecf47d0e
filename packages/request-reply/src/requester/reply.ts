import type { AnyOperation, Operation } from '../contract/operation.ts'
import type { MilenaError } from '../errors.ts'
import type { RecordPosition } from '../transport/transport.ts'
import type { HeaderInput, MessageHeaders } from '../wire/headers.ts'

export interface RequestOptions {
  /** Milliseconds to wait for the reply; default: the operation's, then the requester's. */
  readonly timeout?: number | undefined
  /**
   * Milliseconds since the Unix epoch: it is waited for no longer than that, whatever its timeout says. One that is over
   * already is refused, and nothing is sent. In a handler it is what `context.forward()` gives.
   */
  readonly deadline?: number | undefined
  /**
   * Ends the wait: the request is rejected with `MILENA_CANCELLED`. What is not on the wire yet is taken back (`sent:
   * 'no'`); what is may be handled all the same.
   */
  readonly signal?: AbortSignal | undefined
  /** Headers to send along. Those of the names that the library itself uses (`docs/headers.md`) are left out. */
  readonly headers?: HeaderInput | undefined
  /** The record key, instead of the operation's; `null` for none. Left out, or `undefined`: the operation's. */
  readonly key?: string | Uint8Array | null | undefined
  /** Where the reply is to go: which of the requester's reply topics (`replyRouting`), by its name. Default: the first. */
  readonly replyTopic?: string | undefined
  /** What makes doing the same again harmless, instead of the operation's `idempotencyKey`: 1 to 255 bytes, no control characters. */
  readonly idempotencyKey?: string | undefined
  /** The request's partition, instead of the operation's choice. */
  readonly partition?: number | undefined
}

export interface Reply<Value> {
  readonly value: Value
  /** In hexadecimal, 32 digits. */
  readonly correlationId: string
  readonly headers: MessageHeaders
  /** The reply record's key; like the headers it shares memory with the records beside it: copy what is kept for long. */
  readonly key: Buffer | null
  /** Where the reply stands. */
  readonly position: RecordPosition
  /** Where the request stands; `undefined` when the reply came before the brokers' acknowledgement. */
  readonly request: RecordPosition | undefined
  /** Milliseconds from acceptance to the reply's arrival. */
  readonly roundTrip: number
}

/**
 * The outcome of a request that had been given up, or that was answered with an error which left its effect open, or one
 * more reply to a `requestMany` that had its outcome:
 * exactly one of `reply` and `error` is there.
 */
export interface LateReply {
  /** The operation's name. */
  readonly operation: string
  /** The request as it was given to `request()`. */
  readonly request: unknown
  /** In hexadecimal, 32 digits. */
  readonly correlationId: string
  readonly reply: Reply<unknown> | undefined
  /** The replier's error (`RemoteError`), or why the reply cannot be read. */
  readonly error: MilenaError | undefined
  /** Milliseconds from acceptance to the reply's arrival. */
  readonly roundTrip: number
  /** Whether it is of this operation, by its name; then request and reply have the operation's types. */
  of<RequestInput, RequestOutput, ReplyInput, ReplyOutput>(
    operation: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
  ): this is LateReplyOf<RequestInput, ReplyOutput>
}

/** A `LateReply` whose operation is known. */
export interface LateReplyOf<RequestInput, ReplyOutput> extends LateReply {
  readonly request: RequestInput
  readonly reply: Reply<ReplyOutput> | undefined
}

/** What a late reply is made of. */
export type LateReplyContent = Omit<LateReply, 'of' | 'operation'>

export function lateReply({ name }: AnyOperation, content: LateReplyContent): LateReply {
  const of = (operation: { readonly name: string }): boolean => operation.name === name
  return { operation: name, ...content, of: of as unknown as LateReply['of'] }
}
