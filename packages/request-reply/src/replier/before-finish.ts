import type { IncomingRecord, UnreadableRange } from '../transport/transport.ts'
import type { Outcome } from './outcome.ts'

/** A record, or a stretch that could not be read, for which nothing is left to do but to count as finished. */
export interface Finished {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** The record; `undefined` for a stretch that could not be read. */
  readonly record: IncomingRecord | undefined
  readonly unreadable: UnreadableRange | undefined
  /** The operation that it reached, if it reached one. */
  readonly operation: string | undefined
  /** What became of it; a reply has been acknowledged by the brokers. */
  readonly outcome: Outcome
  /** What the handler, a middleware, a codec or a schema has thrown on the way to it, if anything. */
  readonly error: unknown
  readonly attempt: number
}

/**
 * Awaited before a record counts as finished, and with it before a commit may pass it: after its reply was
 * acknowledged, and for what was passed over or could not be read too. When it throws, the partition stands still
 * (`replier.health()` says so) and it is called again with a growing pause, 1 s to 30 s, until it goes through.
 */
export type BeforeFinish = (finished: Finished) => unknown
