import type { IncomingRecord } from '../transport/transport.ts'
import type { ReplyAddress } from '../wire/profile.ts'
import type { HandlerContext } from './context.ts'

/** Whom to answer, and how: what was read of a request that can be answered. */
export interface Addressee {
  readonly record: IncomingRecord
  readonly correlationId: Buffer
  readonly address: ReplyAddress
  /** The handler's context, once the request has reached an operation. */
  readonly context: HandlerContext | undefined
}
