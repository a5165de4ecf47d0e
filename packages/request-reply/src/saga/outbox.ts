import type { Operation } from '../contract/operation.ts'
import type { Reply } from '../requester/reply.ts'
import type { ReplyAddress } from '../wire/profile.ts'

/** Where commands are written, in the transaction of the saga's state: `postgresOutbox` of `@milena/postgres`, or your own. */
export interface SagaOutbox<Transaction> {
  /** When it resolves, the command is sent if the transaction commits, and is not if it does not. */
  add<RequestInput, RequestOutput, ReplyInput, ReplyOutput>(
    transaction: Transaction,
    operation: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
    value: RequestInput,
    options: CommandOptions,
  ): Promise<unknown>
}

export interface CommandOptions {
  /** The saga's id. */
  readonly key: string
  readonly idempotencyKey: string
  /** 16 bytes; the same each time that the same command is sent. */
  readonly correlationId: Uint8Array
  readonly replyTo: ReplyAddress
}

/** What sends the requests of `operation()`: a `Requester`. */
export interface SagaRequester {
  request<RequestInput, RequestOutput, ReplyInput, ReplyOutput>(
    operation: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
    value: RequestInput,
    options: {
      readonly key: string
      readonly idempotencyKey: string
      readonly timeout: number
      readonly signal: AbortSignal
    },
  ): Promise<Reply<ReplyOutput>>
}
