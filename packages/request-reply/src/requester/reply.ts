import type { MilenaError } from '../errors.ts'
import type { RecordPosition } from '../transport/transport.ts'
import type { HeaderInput, MessageHeaders } from '../wire/headers.ts'

export interface RequestOptions {
  /** Milliseconds to wait for the reply; default: the operation's, then the requester's. */
  readonly timeout?: number
  /** Ends the wait: the request is rejected with `MILENA_CANCELLED`; it may be handled all the same. */
  readonly signal?: AbortSignal
  /** Headers to send along. Those of the names that the library itself uses (`docs/headers.md`) are left out. */
  readonly headers?: HeaderInput
  /** The record key, instead of the operation's. */
  readonly key?: string | Uint8Array | null
  /** The request's partition, instead of the operation's choice. */
  readonly partition?: number
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

/** The outcome of a request that had been given up: exactly one of `reply` and `error` is there. */
export interface LateReply {
  readonly operation: string
  /** The request as it was given to `request()`. */
  readonly request: unknown
  readonly correlationId: string
  readonly reply: Reply<unknown> | undefined
  /** The replier's error (`RemoteError`), or why the reply cannot be read. */
  readonly error: MilenaError | undefined
  /** Milliseconds from acceptance to the reply's arrival. */
  readonly roundTrip: number
}
