import type { IncomingRecord } from '../transport/transport.ts'
import type { Addressee } from './addressee.ts'
import type { Abortable, RequestContext } from './context.ts'
import type { Handling } from './dispatch.ts'
import type { Outcome } from './outcome.ts'

/** One try to handle a record. */
export interface RequestRun {
  readonly record: IncomingRecord
  /** Which try it is, of this record here, from 1. What did not come to the deadline and the handler is none. */
  readonly attempt: number
  /** What the try before this one has thrown, if anything. */
  readonly thrown: unknown
  /** When it was read, in `Clock.monotonic` milliseconds. */
  readonly receivedAt: number
  /** When its turn came, on the same clock. */
  readonly beganAt: number
  /** As `ReadingListener.onRecords` says. */
  readonly appendedAfter: number | undefined
  /** Whether the partition is still this replier's; read when it matters. */
  readonly owned: boolean
  /** Where contexts whose signal somebody has asked for are kept. */
  readonly abortable: Abortable
  /** Whether its error reply was given before its handler ended. */
  readonly overdue: boolean
  /** No time limit counts for this try from here on. */
  endLimit(): void
  /** Says what the record has reached, when it is known and before anything of the application's is called. */
  reached(
    handling: Handling | undefined,
    to: Addressee | undefined,
    context: RequestContext | undefined,
  ): void
  /** Says that this try was none: record middleware has decided without the handler. */
  untried(): void
}

/** The outcome, with what was found out on the way to it. */
export interface Handled {
  /** A promise where something of the application's is asynchronous; it rejects for nothing but a fault of the library. */
  readonly outcome: Outcome | Promise<Outcome>
  /** Whom to answer; `undefined` when nobody can be. */
  readonly to: Addressee | undefined
  /** The operation that it reached. */
  readonly handling: Handling | undefined
  /** What the application was given; released when there is an outcome. */
  readonly context?: RequestContext | undefined
  /** What the handler, a middleware, a codec or a schema has thrown, if anything; known with the outcome. */
  readonly error?: unknown
}
