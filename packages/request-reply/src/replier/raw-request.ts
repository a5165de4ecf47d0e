import type { IncomingRecord, RecordPosition } from '../transport/transport.ts'
import type { MessageHeaders } from '../wire/headers.ts'
import type { ReplyAddress } from '../wire/profile.ts'
import type { ReplierParts } from './extension.ts'

/** A record whose turn has come, before anything of its value is looked at. */
export interface RawRequest extends RecordPosition {
  /** The record itself. Its buffers may share memory with their neighbours: copy what is kept. */
  readonly record: IncomingRecord
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: MessageHeaders
  /** When the record was written, in milliseconds since the Unix epoch. */
  readonly timestamp: number
  /** The operation that it has reached; `undefined` when this replier has no handler for it. */
  readonly operation: string | undefined
  /** As it came, or the 16 bytes that the profile reads in it; `undefined` when it has none, or none that can be echoed. */
  readonly correlationId: Buffer | undefined
  /** Where its reply goes; `undefined` when none is wanted, or none is allowed to go there. */
  readonly replyTo: ReplyAddress | undefined
  /** When the requester no longer waits, in milliseconds since the Unix epoch, by this replier's clock; `undefined` when it does not say. */
  readonly deadline: number | undefined
  /** The topic of the operation itself: `topic`, unless the record stands in one of its retry topics. */
  readonly base: string
  /** The record's place in the chain of retry topics: 0 in `base`, k in the k-th retry topic. By the topic that it was read from. */
  readonly place: number
  /**
   * Which try it is to handle this request, from 1: those of this record here, and one for each retry topic before. A turn
   * in which a middleware decides without `next()` is no try.
   */
  readonly attempt: number
  /**
   * What the handler, a middleware inside of this one, a codec or a schema has thrown; known once `next()` has settled.
   * Before that, and when the handler is not called any more, what was thrown at the try before.
   */
  readonly error: unknown
  /** What the replier has to work with: its transport, clock, logger. */
  readonly replier: ReplierParts
  /**
   * Whether what becomes of it here still counts: false once its partition has gone to another replier, who gets the record
   * too, or `handlerTimeout` has answered it.
   */
  readonly owned: boolean
  /** Whether `handlerTimeout` has answered it: what becomes of it here is not committed, nor tried again. */
  readonly overdue: boolean
  /**
   * From here on `handlerTimeout` does not count for this try: what is left is the middleware's own, which bounds it itself.
   * For what must not be passed over because it takes long.
   */
  endLimit(): void
  /** As the handler's: see `HandlerContext.signal`. */
  readonly signal: AbortSignal
}
