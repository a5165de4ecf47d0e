/**
 * A wire profile: how correlation id and reply address travel in record headers.
 */
import type { RawHeader } from './headers.ts'

/** Where a reply is to go. Without a partition the replier's partitioner chooses, by the request's key. */
export interface ReplyAddress {
  readonly topic: string
  readonly partition?: number | undefined
}

/** What a request says of its reply. */
export interface ReplyRequest {
  /** The correlation id exactly as it came; it is echoed byte for byte. */
  readonly correlationId: Buffer
  readonly address: ReplyAddress | undefined
}

/** Users can write their own. Its functions must not throw, whatever a record's headers are. */
export interface WireProfile {
  readonly name: string
  /** The headers that carry a reply address; encoded once for each address, not for each request. */
  addressHeaders(address: ReplyAddress): readonly RawHeader[]
  correlationHeader(correlationId: Buffer): RawHeader
  /** The correlation id of a reply; `undefined` when there is none, or none that can be ours. */
  readCorrelation(headers: readonly RawHeader[]): Buffer | undefined
  /**
   * What a request says of its reply; `undefined` when it asks for none: neither correlation id nor reply address. A
   * string says why it cannot be answered though it asks for it: an address and no correlation id, or a header that does
   * not parse.
   */
  readReplyRequest(headers: readonly RawHeader[]): ReplyRequest | undefined | string
}
