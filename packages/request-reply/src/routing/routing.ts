/**
 * Reply routing: how a reply finds the instance that asked.
 *
 * A strategy is a `ReplyRouting`; users can write their own: `address` and `close` are enough, and the rest has a
 * default (`open-routing.ts`). All of ours pass `testing/routing-contract.ts`, which users have for
 * theirs: docs/own-routing.md.
 */
import type { Clock } from '../clock.ts'
import type {
  IncomingRecord,
  RecordPosition,
  Transport,
  Trouble,
  UnreadableRange,
} from '../transport/transport.ts'
import type { ReplyAddress } from '../wire/profile.ts'

/** What a strategy gets from its requester. */
export interface RoutingContext {
  readonly transport: Transport
  /** This requester's own, unique among those that are alive; made of letters, digits, `.`, `_` and `-`. */
  readonly instanceId: string
  /**
   * That no other process has this instance id is known already: a journal was taken under it, which refuses or fences
   * whoever had it. Default false: a strategy that can tell whether another living instance has it refuses to open then.
   */
  readonly idIsOurs?: boolean | undefined
  /**
   * Whether a missing reply topic may be created (`createTopics: true`), at the start and whenever it is gone later;
   * otherwise it is an error that names it, and later a trouble until somebody has made it.
   */
  readonly createTopics: boolean
  /**
   * Where to begin to read in this instance's address: positions that a predecessor under the same address had from
   * `OpenReplyRouting.positions`. Without: at the end, since nothing was asked yet. A strategy that has another address
   * now, or cannot resume, throws an `OptionsError`: what was resumed for stands somewhere else.
   */
  readonly resumeFrom: readonly RecordPosition[] | undefined
  readonly clock: Clock
  /**
   * The correlation ids of requests that have no outcome yet, the oldest first: for a strategy that has to ask whether
   * their replies are there. Each as it travels; not to be changed.
   */
  pending(): Iterable<Buffer>
  /** Hands over records that may be replies, this instance's or another's. Never throws. */
  receive(records: readonly IncomingRecord[]): void
  /** A stretch of the reply topic that could not be read and is passed over; a reply may have stood there. Never throws. */
  unreadable(range: UnreadableRange): void
  /** The list of lasting troubles has changed; empty when replies can be received again. Never throws. */
  onTrouble(troubles: readonly Trouble[]): void
  /** Reports, for people, what stands in the way of receiving replies, or of keeping house; the strategy goes on trying. */
  warn(error: Error): void
}

export interface ReplyRouting {
  /** For statistics and messages, such as `replyPartition`. */
  readonly name: string
  /**
   * The topic of its address, always the same for one instance id. Needed of one of several (`replyRouting: [a, b]`), which
   * are told apart by it.
   */
  topicOf?(instanceId: string): string
  /** Begins to receive. When it resolves, a reply to `address()` that is sent from now on will be received. */
  open(context: RoutingContext): Promise<OpenReplyRouting>
}

export interface OpenReplyRouting {
  /** Where the reply to the next request is to go. Called for every request: it must be cheap. */
  address(): ReplyAddress
  /**
   * Bytes with which the correlation ids of this instance's requests begin, at most 8: for a strategy that has to know
   * its own replies by their id. What is left of the 16 is random. Default: none, all is random.
   */
  readonly correlationPrefix?: Buffer | undefined
  /**
   * It hands over one reply at most of those with one correlation id, or no more than one for certain: then `requestMany`
   * is refused. Default false.
   */
  readonly oneReplyEach?: boolean | undefined
  /**
   * What keeps replies from being received now, and lasts: while the list has an entry, new requests are refused (or
   * wait) unsent. Called for every request: the same array until it changes. Without this method: what
   * `RoutingContext.onTrouble` was told last, and nothing before that.
   */
  troubles?(): readonly Trouble[]
  /**
   * From where the reply to a request that is sent now can appear: in each partition that is read, the offset of the
   * next record. To be kept beside the request, for `RoutingContext.resumeFrom`. Without this method: nowhere, and a
   * successor cannot resume.
   */
  positions?(): readonly RecordPosition[]
  /**
   * Resolves when every reply that stood in the log at the time of the call was handed over, however long that takes, or
   * when the routing is closed. Without this method: at once.
   */
  caughtUp?(): Promise<void>
  /** Ends receiving and gives back what was taken. Never waits for a transport that is closed already. */
  close(): Promise<void>
}
