import {
  OptionsError,
  type Claim,
  type ClaimOptions,
  type Clock,
  type Found,
  type IdempotencyId,
  type IdempotencyStore,
  type IdempotencyTransaction,
  type StoredOutcome,
  systemClock,
} from '@milena/request-reply'
import { Database, storeProblems, type GroupedStoreOptions } from '../database.ts'
import { clockProblems, switchProblems } from '../given.ts'
import { Entries } from './entries.ts'
import { EntryGroups } from './groups.ts'
import { beginTransaction, type PostgresTransaction } from './transaction.ts'

export interface PostgresIdempotencyOptions extends GroupedStoreOptions {
  /** Milliseconds between two rounds in which claims have forgotten what is over; default 10 000. */
  readonly cleanInterval?: number | undefined
  /**
   * Whether each handler is given a transaction, `context.transaction`, in which its work and its stored outcome are
   * committed together; default true. It takes a connection of the pool for as long as the handler runs, so the pool needs
   * more of them than the replier's `concurrency`. False is for handlers whose work is not in this database.
   */
  readonly transactions?: boolean | undefined
  /** Milliseconds that a statement for many keys may take; default 5 000. What has taken longer rejects, and may be done. */
  readonly timeout?: number | undefined
  /** For simulations; default: the machine's. */
  readonly clock?: Clock | undefined
}

/** One without transactions. */
export interface PlainPostgresIdempotencyStore extends IdempotencyStore {
  /**
   * Forgets up to 1 000 keys whose time to live is over, and gives back how many. Claims do so now and then by themselves;
   * this is for a table that is to be emptied faster, or while no requests come.
   */
  clean(): Promise<number>
}

export interface PostgresIdempotencyStore
  extends PlainPostgresIdempotencyStore, IdempotencyStore<PostgresTransaction> {
  begin(): Promise<IdempotencyTransaction<PostgresTransaction>>
}

const migration = '001-idempotency'
/** A claim that finds the key's state changed, each time it looks, is not made more often than that. */
const mostTries = 100
const own: readonly (keyof PostgresIdempotencyOptions)[] = [
  'prepared',
  'cleanInterval',
  'transactions',
  'timeout',
  'pace',
  'clock',
]

/**
 * **Guarantee**: that of `IdempotencyStore`, for all processes that use the database, with its durability: what was
 * answered is known after a crash of any of them and of the database. With `context.transaction` the handler's work in
 * this database and the stored outcome are one: both or neither.
 *
 * **Not guaranteed**: what the handler does elsewhere than through `context.transaction`. What PostgreSQL itself loses:
 * with `synchronous_commit = off`, at a failover to a replica that is behind, or by a restore, keys are forgotten.
 *
 * @throws OptionsError
 */
export function postgresIdempotency(
  options: PostgresIdempotencyOptions & { readonly transactions?: true | undefined },
): PostgresIdempotencyStore
export function postgresIdempotency(options: PostgresIdempotencyOptions): PlainPostgresIdempotencyStore
export function postgresIdempotency(options: PostgresIdempotencyOptions): PlainPostgresIdempotencyStore {
  const problems = storeProblems(options, own)
  const given: Partial<PostgresIdempotencyOptions> = options ?? {}
  const { cleanInterval = 10_000, transactions = true, timeout = 5_000, pace = 0 } = given
  const { clock = systemClock } = given
  problems.push(...switchProblems({ transactions, prepared: given.prepared }), ...clockProblems(clock))
  if (!(typeof cleanInterval === 'number' && cleanInterval >= 0))
    problems.push('cleanInterval must be a number of milliseconds')
  if (!(typeof timeout === 'number' && timeout >= 1)) problems.push('timeout must be at least 1 ms')
  if (!(typeof pace === 'number' && pace >= 0)) problems.push('pace must be a number of milliseconds')
  if (problems.length > 0) throw new OptionsError('postgresIdempotency', problems)
  const database = new Database(options, migration)
  return new PostgresStore(database, { cleanInterval, transactions, timeout, pace, clock })
}

interface Settings {
  readonly cleanInterval: number
  readonly transactions: boolean
  readonly timeout: number
  readonly pace: number
  readonly clock: Clock
}

class PostgresStore implements PlainPostgresIdempotencyStore {
  readonly begin?: () => Promise<IdempotencyTransaction<PostgresTransaction>>
  readonly #entries: Entries
  readonly #groups: EntryGroups
  readonly #settings: Settings
  #cleanAt: number

  constructor(database: Database, settings: Settings) {
    this.#entries = new Entries(database)
    this.#groups = new EntryGroups(this.#entries, settings)
    this.#settings = settings
    this.#cleanAt = settings.clock.monotonic() + settings.cleanInterval
    if (settings.transactions) this.begin = () => beginTransaction(database, this.#entries)
  }

  async claim(id: IdempotencyId, options: ClaimOptions): Promise<Claim> {
    this.#cleanNowAndThen()
    for (let tries = 1; ; tries++) {
      const claimed = await this.#groups.claim(id, options)
      if (claimed !== undefined) return { kind: 'claimed', ...claimed }
      const entry = await this.#entries.find(id)
      if (entry.kind === 'expired') await this.#entries.forget(id)
      else if (entry.kind !== 'nothing') {
        const { fingerprint, ...known } = entry
        if (fingerprint !== options.fingerprint) return { kind: 'mismatch' }
        if (known.kind === 'running' || known.kind === 'stored') return known
      }
      // It became claimable between the two statements.
      if (tries === mostTries) throw new Error(`the state of idempotency key ${id.key} does not keep still`)
    }
  }

  renew(id: IdempotencyId, token: number, lease: number): Promise<boolean> {
    return this.#groups.renew(id, token, lease)
  }

  async complete(
    id: IdempotencyId,
    token: number,
    outcome: StoredOutcome,
    ttl: number,
  ): Promise<'completed' | 'fenced'> {
    return (await this.#groups.complete(id, token, outcome, ttl)) ? 'completed' : 'fenced'
  }

  release(id: IdempotencyId, token: number, trace: boolean): Promise<void> {
    return this.#groups.release(id, token, trace)
  }

  async find(id: IdempotencyId): Promise<Found> {
    for (;;) {
      const entry = await this.#entries.find(id)
      if (entry.kind === 'nothing') return entry
      if (entry.kind !== 'expired') {
        const { fingerprint: _, ...found } = entry
        return found
      }
      await this.#entries.forget(id)
    }
  }

  clean(): Promise<number> {
    return this.#entries.clean()
  }

  /** Nobody waits for it, and the next round does what this one could not. */
  #cleanNowAndThen(): void {
    const { clock, cleanInterval } = this.#settings
    if (clock.monotonic() < this.#cleanAt) return
    this.#cleanAt = clock.monotonic() + cleanInterval
    void this.#entries.clean().catch(() => undefined)
  }
}
