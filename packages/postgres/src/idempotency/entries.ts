/**
 * The statements of the idempotency store, each a step of its own, by the database's clock.
 */
import {
  decodeStoredOutcome,
  encodeStoredOutcome,
  type ClaimOptions,
  type Found,
  type IdempotencyId,
  type RunningEntry,
  type StoredEntry,
  type StoredOutcome,
} from '@milena/request-reply'
import type { Database, Queryable } from '../database.ts'

/** What is known of a key. */
export type Entry =
  | ((RunningEntry | StoredEntry | { readonly kind: 'released' | 'lapsed' }) & {
      readonly fingerprint: string
    })
  /** Its time to live is over, and nobody has forgotten it yet. */
  | { readonly kind: 'expired' }
  | Extract<Found, { readonly kind: 'nothing' }>

interface RawEntry {
  readonly known_since: number
  readonly changed_at: number
  readonly fingerprint: string | null
  readonly state: 'claimed' | 'stored' | 'released'
  readonly token: string
  readonly owner: string
  readonly remaining: number
  readonly expired: boolean
  readonly outcome: Buffer | null
}

const mostForgotten = 1_000
const now = 'clock_timestamp()'

function later(parameter: string): string {
  return `${now} + ${parameter}::float8 * interval '1 ms'`
}

function milliseconds(time: string): string {
  return `floor(extract(epoch FROM ${time}) * 1000)::float8`
}

export class Entries {
  readonly #database: Database
  readonly #table: string
  readonly #knows: string
  readonly #tokens: string

  constructor(database: Database) {
    this.#database = database
    this.#table = database.table('milena_idempotency')
    this.#knows = database.table('milena_idempotency_knows')
    this.#tokens = `nextval('${database.table('milena_idempotency_token').replaceAll("'", "''")}')`
  }

  /** Claims the key if it is nobody's. The token is drawn when its row is locked, so that it is higher than all before. */
  async claim(
    { scope, key }: IdempotencyId,
    { fingerprint, owner, lease, ttl, replacing }: ClaimOptions,
  ): Promise<{ readonly token: number; readonly again: boolean } | undefined> {
    const rows = await this.#database.query<{ readonly token: string; readonly claims: number }>(
      `INSERT INTO ${this.#table} AS old
        (scope, key, fingerprint, state, token, owner, lease_ends, changed_at, ttl, expires_at)
      VALUES ($1, $2, decode($3, 'hex'), 'claimed', ${this.#tokens}, $4, ${later('$5')}, ${now}, $6::float8::bigint,
        ${later('greatest($5::float8, $6::float8)')})
      ON CONFLICT (scope, key) DO UPDATE SET
        state = 'claimed', token = ${this.#tokens}, claims = old.claims + 1, owner = excluded.owner,
        lease_ends = ${later('$5')}, changed_at = ${now}, ttl = excluded.ttl,
        expires_at = ${later('greatest($5::float8, $6::float8)')}, outcome = NULL
      WHERE old.fingerprint = excluded.fingerprint AND old.expires_at > ${now} AND (
        old.state = 'released'
        OR (old.state = 'claimed' AND old.lease_ends <= ${now})
        OR (old.state = 'stored' AND old.token = $7::bigint))
      RETURNING token, claims`,
      [scope, key, fingerprint, owner, lease, ttl, replacing],
    )
    const claimed = rows[0]
    return claimed && { token: Number(claimed.token), again: claimed.claims > 1 }
  }

  async find({ scope, key }: IdempotencyId): Promise<Entry> {
    const rows = await this.#database.query<RawEntry>(
      `SELECT ${milliseconds('knows.since')} AS known_since, ${milliseconds('changed_at')} AS changed_at,
        encode(fingerprint, 'hex') AS fingerprint, state, token, owner, outcome, expires_at <= ${now} AS expired,
        ceil(extract(epoch FROM lease_ends - ${now}) * 1000)::float8 AS remaining
      FROM ${this.#knows} AS knows LEFT JOIN ${this.#table} ON scope = $1 AND key = $2`,
      [scope, key],
    )
    const row = rows[0]
    if (row === undefined) return { kind: 'nothing', knowsSince: undefined } // somebody has emptied that table
    return toEntry(row)
  }

  /** The lease begins anew; whether the claim is this token's. */
  async renew({ scope, key }: IdempotencyId, token: number, lease: number): Promise<boolean> {
    const rows = await this.#database.query(
      `UPDATE ${this.#table} SET lease_ends = ${later('$4')}, changed_at = ${now},
        expires_at = ${later('greatest($4::float8, ttl::float8)')}
      WHERE scope = $1 AND key = $2 AND token = $3 AND state = 'claimed' AND expires_at > ${now} RETURNING 1`,
      [scope, key, token, lease],
    )
    return rows.length > 0
  }

  /** An outcome that is stored already stays. */
  async complete(
    { scope, key }: IdempotencyId,
    token: number,
    outcome: StoredOutcome,
    ttl: number,
    on?: Queryable,
  ): Promise<'completed' | 'fenced'> {
    const rows = await this.#database.query(
      `UPDATE ${this.#table} SET
        state = 'stored',
        outcome = CASE state WHEN 'claimed' THEN $4 ELSE outcome END,
        changed_at = CASE state WHEN 'claimed' THEN ${now} ELSE changed_at END,
        ttl = CASE state WHEN 'claimed' THEN $5::float8::bigint ELSE ttl END,
        expires_at = CASE state WHEN 'claimed' THEN ${later('$5')} ELSE expires_at END
      WHERE scope = $1 AND key = $2 AND token = $3 AND state <> 'released' AND expires_at > ${now} RETURNING 1`,
      [scope, key, token, encodeStoredOutcome(outcome), ttl],
      on,
    )
    return rows.length > 0 ? 'completed' : 'fenced'
  }

  async release({ scope, key }: IdempotencyId, token: number, trace: boolean): Promise<void> {
    const held = `scope = $1 AND key = $2 AND token = $3 AND state = 'claimed' AND expires_at > ${now}`
    await this.#database.query(
      trace
        ? `UPDATE ${this.#table} SET state = 'released', changed_at = ${now}, expires_at = ${later('ttl')} WHERE ${held}`
        : `DELETE FROM ${this.#table} WHERE ${held}`,
      [scope, key, token],
    )
  }

  /** Forgets this one, whose time is over. */
  async forget({ scope, key }: IdempotencyId): Promise<void> {
    await this.#forget(`scope = $1 AND key = $2 AND expires_at <= ${now}`, [scope, key])
  }

  /** Forgets those whose time is over, the oldest first, at most 1 000; how many. */
  clean(): Promise<number> {
    return this.#forget(
      `(scope, key) IN (SELECT scope, key FROM ${this.#table} WHERE expires_at <= ${now}
        ORDER BY expires_at LIMIT ${mostForgotten} FOR UPDATE SKIP LOCKED)`,
      [],
    )
  }

  /** Of what was changed up to then it can no longer be said that it never was here. */
  async #forget(which: string, values: unknown[]): Promise<number> {
    const [row] = await this.#database.query<{ readonly forgotten: number }>(
      `WITH forgotten AS (DELETE FROM ${this.#table} WHERE ${which} RETURNING changed_at),
      known AS (
        UPDATE ${this.#knows} SET since = greatest(since, (SELECT max(changed_at) FROM forgotten) + interval '1 ms')
        WHERE EXISTS (SELECT FROM forgotten)
      ) SELECT count(*)::integer AS forgotten FROM forgotten`,
      values,
    )
    return row!.forgotten
  }
}

function toEntry(row: RawEntry): Entry {
  const {
    known_since: knowsSince,
    changed_at: changedAt,
    fingerprint,
    state,
    owner,
    remaining,
    outcome,
  } = row
  if (fingerprint === null) return { kind: 'nothing', knowsSince }
  if (row.expired) return { kind: 'expired' }
  if (state === 'stored') {
    const stored = decodeStoredOutcome(outcome!)
    return { kind: 'stored', fingerprint, outcome: stored, token: Number(row.token), storedAt: changedAt }
  }
  if (state === 'released') return { kind: 'released', fingerprint }
  return remaining > 0 ? { kind: 'running', fingerprint, owner, remaining } : { kind: 'lapsed', fingerprint }
}
