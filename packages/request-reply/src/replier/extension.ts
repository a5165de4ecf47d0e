import type { Clock } from '../clock.ts'
import type { AnyOperation } from '../contract/operation.ts'
import type { Transport } from '../transport/transport.ts'
import type { WireProfile } from '../wire/profile.ts'
import type { AnyHandler } from './middleware.ts'

/** An operation that a middleware offers beside those that it stands before. */
export interface OfferedOperation {
  /** On the topic of the operation that it belongs to, or of that one's extension. */
  readonly operation: AnyOperation
  /** Called as any handler is, with the decoded and validated request; no middleware stands before it. */
  readonly handler: AnyHandler
}

/** A further topic whose records are an operation's. */
export interface FurtherTopic {
  readonly topic: string
  /** Its place in a chain of retry topics, from 1: so many tries were made before its records came to it. Default 0. */
  readonly place?: number
  /**
   * Milliseconds that a record waits from when it was written, and at most from when it was read, before its turn can come;
   * default 0. The records behind it wait with it. While its first record waits the partition is not read on.
   */
  readonly delay?: number
}

/** What a replier's record middleware works with. */
export interface ReplierParts {
  readonly groupId: string
  /** The replier's own; open, and closed after `ReplierExtension.close`. */
  readonly transport: Transport
  readonly clock: Clock
  readonly profile: WireProfile
  /** Tells the replier's logger. */
  warn(message: string, details: Readonly<Record<string, unknown>>, error?: unknown): void
}

/** What a replier gives to an extension before it joins its group. */
export interface ReplierOpening extends ReplierParts {
  /** What becomes of records whose operation has no handler here, as the replier's option says. */
  readonly unknownOperations: 'answer' | 'ignore'
  /** Whether missing topics are to be created, as the replier's option says. */
  readonly createTopics: boolean
  /** The operations that it stands before: of `useRecords` all, of `handle`'s `useRecords` that one. */
  readonly operations: readonly AnyOperation[]
}

/**
 * What a record middleware needs beyond the records that pass it: topics that are read, operations that it answers,
 * something to open before the first record and to close after the last. The methods are called in this order, by each
 * replier that the middleware is given to:
 *
 *     topics, operations ── for each operation that it stands before, when the replier starts
 *     open               ── once, before the group is joined; what it throws is thrown by `start`
 *     close              ── once, when no record passes any more, whatever `open` came to
 */
export interface ReplierExtension {
  /** Further topics whose records are this operation's, on their way through the same middleware and handler. */
  topics?(operation: AnyOperation): readonly (string | FurtherTopic)[]
  /** Operations that the replier answers beside this one, on the same topic. */
  operations?(operation: AnyOperation): readonly OfferedOperation[]
  open?(opening: ReplierOpening): void | Promise<void>
  close?(): void | Promise<void>
}
