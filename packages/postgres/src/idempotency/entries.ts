/**
 * The statements of the idempotency store, each a step of its own, by the database's clock.
 */
import {
  decodeStoredOutcome,
  type ClaimOptions,
  type Found,
  type IdempotencyId,
  type RunningEntry,
  type StoredEntry,
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

/** A claim to be changed, if it is still this token's. */
export interface Held {
  readonly id: IdempotencyId
  readonly token: number
}

export interface Renewal extends Held {
  readonly lease: number
}

export interface Completion extends Held {
  /** Encoded. */
  readonly outcome: Buffer
  readonly ttl: number
}

export interface NewClaim {
  readonly id: IdempotencyId
  readonly options: ClaimOptions
}

/** What is done with a row that somebody else has locked, such as a transaction that has not ended. */
export type Locked = 'wait' | 'skip'

interface Placed {
  readonly place: number
}

interface Update {
  readonly what: string
  /** In what state they have to be. */
  readonly where: string
  readonly locked: Locked
  /** Further columns and types of what is given, and their arrays. */
  readonly more?: Readonly<Record<string, string>>
  readonly values?: readonly unknown[][]
  readonly set?: string
  readonly on?: Queryable | undefined
}

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

  /** Those of which nothing is known; the tokens, by place. */
  async claimNew(claims: readonly NewClaim[]): Promise<(number | undefined)[]> {
    const rows = await this.#database.often<IdempotencyId & { readonly token: string }>(
      'claims',
      `INSERT INTO ${this.#table}
        (scope, key, fingerprint, state, token, owner, lease_ends, changed_at, ttl, expires_at)
      SELECT scope, key, decode(fingerprint, 'hex'), 'claimed', ${this.#tokens}, owner, ${later('lease')}, ${now},
        ttl::bigint, ${later('greatest(lease, ttl)')}
      FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::float8[], $6::float8[])
        AS given(scope, key, fingerprint, owner, lease, ttl)
      WHERE NOT EXISTS (
        SELECT FROM ${this.#table} AS known WHERE known.scope = given.scope AND known.key = given.key)
      ORDER BY scope COLLATE "C", key COLLATE "C"
      ON CONFLICT (scope, key) DO NOTHING RETURNING scope, key, token`,
      [
        claims.map(({ id }) => id.scope),
        claims.map(({ id }) => id.key),
        claims.map(({ options }) => options.fingerprint),
        claims.map(({ options }) => options.owner),
        claims.map(({ options }) => options.lease),
        claims.map(({ options }) => options.ttl),
      ],
    )
    const tokens = new Map(rows.map((row) => [nameOf(row), Number(row.token)]))
    return claims.map(({ id }) => tokens.get(nameOf(id)))
  }

  /** The lease begins anew; of each, whether the claim is its token's. */
  renew(renewals: readonly Renewal[], locked: Locked): Promise<boolean[]> {
    return this.#update(renewals, {
      what: 'renewals',
      where: `entry.state = 'claimed'`,
      locked,
      more: { lease: 'float8' },
      set: `lease_ends = ${later('held.lease')}, changed_at = ${now},
        expires_at = ${later('greatest(held.lease, ttl::float8)')}`,
      values: [renewals.map(({ lease }) => lease)],
    })
  }

  /** Of each, whether it is stored: an outcome that is stored already stays. */
  complete(completions: readonly Completion[], locked: Locked, on?: Queryable): Promise<boolean[]> {
    return this.#update(completions, {
      what: 'completions',
      where: `entry.state <> 'released'`,
      locked,
      more: { stored: 'bytea', time: 'float8' },
      set: `state = 'stored',
        outcome = CASE state WHEN 'claimed' THEN held.stored ELSE outcome END,
        changed_at = CASE state WHEN 'claimed' THEN ${now} ELSE changed_at END,
        ttl = CASE state WHEN 'claimed' THEN held.time::bigint ELSE ttl END,
        expires_at = CASE state WHEN 'claimed' THEN ${later('held.time')} ELSE expires_at END`,
      values: [completions.map(({ outcome }) => outcome), completions.map(({ ttl }) => ttl)],
      on,
    })
  }

  /** Of each, whether the claim was its token's. */
  release(releases: readonly Held[], trace: boolean, locked: Locked): Promise<boolean[]> {
    return this.#update(releases, {
      what: trace ? 'traced releases' : 'releases',
      where: `entry.state = 'claimed'`,
      locked,
      ...(trace && { set: `state = 'released', changed_at = ${now}, expires_at = ${later('ttl')}` }),
    })
  }

  /**
   * Changes, or without `set` removes, those that are still their token's; of each, whether it was. They are locked in the
   * order of their keys; those that others have locked are left out where `locked` says so.
   */
  async #update(
    held: readonly Held[],
    { what, where, locked, more = {}, values = [], set, on }: Update,
  ): Promise<boolean[]> {
    const types = Object.values(more).map((type, place) => `, $${place + 4}::${type}[]`)
    const names = Object.keys(more).map((name) => `${name}, `)
    const text = `WITH held AS MATERIALIZED (
        SELECT given.* FROM unnest($1::text[], $2::text[], $3::bigint[]${types.join('')}) WITH ORDINALITY
          AS given(scope, key, token, ${names.join('')}place)
        JOIN ${this.#table} AS entry ON entry.scope = given.scope AND entry.key = given.key
        WHERE entry.token = given.token AND ${where} AND entry.expires_at > ${now}
        ORDER BY entry.scope, entry.key FOR UPDATE OF entry ${locked === 'skip' ? 'SKIP LOCKED' : ''})
      ${set === undefined ? `DELETE FROM ${this.#table} AS entry USING` : `UPDATE ${this.#table} AS entry SET ${set} FROM`} held
      WHERE entry.scope = held.scope AND entry.key = held.key RETURNING held.place::integer`
    const parameters = [
      held.map(({ id }) => id.scope),
      held.map(({ id }) => id.key),
      held.map(({ token }) => token),
      ...values,
    ]
    const rows =
      locked === 'skip'
        ? await this.#database.often<Placed>(what, text, parameters)
        : await this.#database.query<Placed>(text, parameters, on)
    const places = new Set(rows.map(({ place }) => place))
    return held.map((_, place) => places.has(place + 1))
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

/** One text for a key and its scope, as PostgreSQL gives them back. */
export function nameOf({ scope, key }: IdempotencyId): string {
  return `${scope}\n${key}`.toWellFormed()
}
