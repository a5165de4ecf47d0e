/**
 * A wire profile: how correlation id and reply address travel in record headers.
 */
import type { RawHeader } from './headers.ts'
import { readError, type WireError } from './milena.ts'

/** Where a reply is to go. Without a partition the replier's partitioner chooses, by the request's key. */
export interface ReplyAddress {
  readonly topic: string
  readonly partition?: number | undefined
}

/** What a request says of its reply. */
export interface ReplyRequest {
  /**
   * The correlation id: as it came, or, where the profile writes ids in another form (as text), the 16 bytes that this form
   * stands for. So both sides call a request by the same id.
   */
  readonly correlationId: Buffer
  readonly address: ReplyAddress | undefined
}

/**
 * Users can write their own. Its functions must not throw, whatever a record's headers are. What is optional is for worlds
 * that mark replies and errors in a way of their own.
 */
export interface WireProfile {
  readonly name: string
  /** The headers that carry a reply address; encoded once for each address, not for each request. */
  addressHeaders(address: ReplyAddress): readonly RawHeader[]
  /** The header of a correlation id: in a request of one of ours, 16 bytes; in a reply of what `readReplyRequest` has read. */
  correlationHeader(correlationId: Buffer): RawHeader
  /** The correlation id of a reply; `undefined` when there is none, or none that can be ours. */
  readCorrelation(headers: readonly RawHeader[]): Buffer | undefined
  /**
   * What a request says of its reply; `undefined` when it asks for none: neither correlation id nor reply address. A
   * string says why it cannot be answered though it asks for it: an address and no correlation id, or a header that does
   * not parse.
   */
  readReplyRequest(headers: readonly RawHeader[]): ReplyRequest | undefined | string

  /**
   * The header of the correlation id in a reply to a request with these headers, byte for byte as it came. Default
   * `correlationHeader`, which is right where the header has the id as it is.
   */
  readonly echoHeader?: ((request: readonly RawHeader[]) => RawHeader) | undefined
  /** Headers that every reply carries, errors too, beside the correlation id. Default none. */
  readonly replyHeaders?: readonly RawHeader[]
  /**
   * How this world sees that a reply is an error; such a reply has no value. They come before the `milena-error-` headers,
   * which every error reply has as well. Default none. The names of these headers must not depend on the error.
   */
  errorHeaders?(error: WireError): readonly RawHeader[]
  /**
   * The error that a reply is; `undefined` when it is none. Asked only of a reply without `milena-error-code`, which knows
   * more. Default: no such reply is an error. Of an error that does not say what it did outside, the effect is unknown.
   */
  readError?(headers: readonly RawHeader[]): WireError | undefined
  /**
   * Whether it says that no further reply comes. A record without a value that says so, behind a reply, is no second reply.
   * Default: no record says so.
   */
  endsReplies?(headers: readonly RawHeader[]): boolean
}

/** The replier's error, of ours or of the profile's world; `undefined` when the reply is none. */
export function readReplyError(profile: WireProfile, headers: readonly RawHeader[]): WireError | undefined {
  return readError(headers) ?? profile.readError?.(headers)
}
