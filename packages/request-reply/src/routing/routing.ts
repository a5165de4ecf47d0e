/**
 * Reply routing: how a reply finds the instance that asked.
 *
 * A strategy is a `ReplyRouting`; users can write their own. All of ours pass `test/routing-contract.ts`.
 */
import type { Clock } from '../clock.ts'
import type { IncomingRecord, Transport } from '../transport/transport.ts'
import type { ReplyAddress } from '../wire/profile.ts'

/** What a strategy gets from its requester. */
export interface RoutingContext {
  readonly transport: Transport
  /** This requester's own, unique among those that are alive; made of letters, digits, `.`, `_` and `-`. */
  readonly instanceId: string
  /** Whether a missing reply topic may be created (`createTopics: true`); otherwise it is an error that names it. */
  readonly createTopics: boolean
  readonly clock: Clock
  /** Hands over records that may be replies, this instance's or another's. Never throws. */
  receive(records: readonly IncomingRecord[]): void
  /** Reports what stands in the way of receiving replies, or of keeping house; the strategy goes on trying. */
  warn(error: Error): void
}

export interface ReplyRouting {
  /** For statistics and messages, such as `replyPartition`. */
  readonly name: string
  /** Begins to receive. When it resolves, a reply to `address()` that is sent from now on will be received. */
  open(context: RoutingContext): Promise<OpenReplyRouting>
}

export interface OpenReplyRouting {
  /** Where the reply to the next request is to go. Called for every request: it must be cheap. */
  address(): ReplyAddress
  /** Ends receiving and gives back what was taken. */
  close(): Promise<void>
}
