/**
 * The outbox: requests and commands that are written in the caller's own transaction, and sent when that has committed.
 *
 *   add (in the caller's transaction) ─▶ row ─▶ a relay claims its key ─▶ sent ─▶ acknowledged ─▶ deleted, or marked
 *
 * What is committed is sent at least once, always with the same bytes and the same idempotency key. Rows of one key (and
 * topic) are sent one after the other, in the order of their ids.
 */
import type {
  Clock,
  Operation,
  RequestRecordOptions,
  TransportSource,
  WireProfile,
} from '@milena/request-reply'
import type { ClientBase } from 'pg'
import type { StoreOptions } from '../database.ts'

export interface OutboxOptions extends StoreOptions {
  /**
   * Whether `add` wakes the relays at its commit, by NOTIFY. Default true; false spares the lock that PostgreSQL takes for
   * it at each commit, and rows wait for the relays' next look (`pollInterval`).
   */
  readonly notify?: boolean | undefined
  /** How correlation id and reply address travel; default `springProfile`. */
  readonly profile?: WireProfile | undefined
}

/** As for a request's record; without an idempotency key, of its own or the operation's, it gets a random UUID, made once. */
export type OutboxAddOptions = Omit<RequestRecordOptions, 'profile' | 'random'>

/** What was written. */
export interface OutboxEntry {
  /** Grows with every row that is written. */
  readonly id: string
  readonly idempotencyKey: string
  /** In hexadecimal; `undefined` for a command without a reply address. */
  readonly correlationId: string | undefined
}

export interface Outbox {
  /**
   * Writes a request, or a command, in this transaction: it is sent if that commits, and never if not. To be awaited
   * before the transaction ends.
   *
   * @throws MilenaError `MILENA_OPTIONS_INVALID`, `MILENA_REQUEST_INVALID`, `MILENA_CODEC_FAILED`,
   * `MILENA_NOT_MIGRATED`; what PostgreSQL says. The last two leave the transaction aborted.
   */
  add<RequestInput, RequestOutput, ReplyInput, ReplyOutput>(
    tx: ClientBase,
    operation: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
    value: RequestInput,
    options?: OutboxAddOptions,
  ): Promise<OutboxEntry>
  /** Makes a relay, which sends what is written. Any number of processes may have one. */
  relay(options: RelayOptions): OutboxRelay
  /** What waits to be sent, by the database's clock. */
  backlog(): Promise<OutboxBacklog>
}

/** A key whose first row could not be sent at its last attempt; the rows behind it wait. */
export interface StuckKey {
  readonly topic: string
  readonly key: Buffer | null
  /** The row that cannot be sent. */
  readonly id: string
  readonly operation: string
  /** Since its first failure, in milliseconds since the Unix epoch. */
  readonly since: number
  readonly failures: number
  /** When it is tried next, in milliseconds since the Unix epoch. */
  readonly nextAttempt: number
  readonly error: { readonly code: string; readonly message: string }
}

export interface OutboxBacklog {
  /** Rows that are committed and not sent; counted up to 100 000. */
  readonly pending: number
  /** Whether there are more of them than were counted. */
  readonly more: boolean
  /** Milliseconds since the oldest of them was written; 0 when there is none. */
  readonly oldestAge: number
  /** The 100 that have been stuck for longest. */
  readonly stuck: readonly StuckKey[]
  /** How many keys are stuck; counted up to 100 000. */
  readonly stuckKeys: number
}

export interface RelayOptions extends TransportSource {
  /** Milliseconds between two looks at the table when nothing wakes the relay; default 1 000. */
  readonly pollInterval?: number | undefined
  /**
   * Milliseconds of silence after which a relay's claims end; default 15 000. A relay whose process or connection ends
   * loses them at once; this is for one that was stopped, or is behind a network that is cut. At least three times
   * `pollInterval`.
   */
  readonly claimTimeout?: number | undefined
  /** Keys that are sent for at once; default 200. Of each, one record is on its way. */
  readonly maxKeys?: number | undefined
  /** Bytes of rows that are held in memory; default 16 MiB. One row is always taken. */
  readonly maxBytes?: number | undefined
  /** Milliseconds after which a send that is not acknowledged counts as failed; default 5 000. */
  readonly sendTimeout?: number | undefined
  /** The longest pause, in milliseconds, before a row that failed is tried again; it begins with 1 s and doubles. Default 60 000. */
  readonly maxPause?: number | undefined
  /** Milliseconds that a row is kept after it was sent; default 0: it is deleted at once. */
  readonly keep?: number | undefined
  /** For simulations; default: the machine's. */
  readonly clock?: Clock | undefined
}

export interface OutboxRelayStats {
  /** Records that were acknowledged. */
  readonly sent: number
  /** Attempts that were not. */
  readonly failed: number
  /** Sent rows that were deleted after `keep`. */
  readonly cleaned: number
  /** Keys that this relay has claimed at present. */
  readonly keys: number
  /** Rows in memory, and their bytes. */
  readonly rows: number
  readonly bytes: number
}

export interface OutboxRelayHealth {
  /** Whether it is at work: started, and its connection to the database answers. */
  readonly relaying: boolean
  /** Why not, and since when (milliseconds since the Unix epoch). */
  readonly trouble: { readonly since: number; readonly error: unknown } | undefined
  /** The last send that failed; it may have succeeded since. */
  readonly lastFailure: { readonly at: number; readonly topic: string; readonly error: unknown } | undefined
}

export interface OutboxRelay extends AsyncDisposable {
  /**
   * Begins to relay. Resolves when the brokers and the database have answered; from then on it goes on by itself, whatever
   * becomes of them.
   *
   * @throws MilenaError `MILENA_NOT_MIGRATED`; TransportError as `openKafka`; what PostgreSQL says
   */
  start(): Promise<void>
  stats(): OutboxRelayStats
  health(): OutboxRelayHealth
  /** Sends what is on its way to its end, at most `sendTimeout` long, and gives up the claims. */
  close(): Promise<void>
}
