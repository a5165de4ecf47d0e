/**
 * The statements of a relay, over its session. Lanes and ids are read as texts: a pool may have parsers of its own, and one
 * that makes numbers of bigints would make others of these.
 */
import type { OutgoingRecord, RawHeader } from '@milena/request-reply'
import type { Database } from '../database.ts'
import type { Session } from './session.ts'

/** A lane with something to send, by its first row. */
export interface Head {
  readonly lane: string
  readonly failures: number
  /** Whether that row may be tried now. */
  readonly due: boolean
}

export interface Row {
  readonly id: string
  readonly lane: string
  readonly bytes: number
  readonly failures: number
  readonly record: OutgoingRecord
}

export interface Failure {
  readonly id: string
  readonly code: string
  readonly message: string
}

interface RawRow {
  readonly id: string
  readonly lane: string
  readonly topic: string
  readonly partition: number | null
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly header_names: readonly Buffer[]
  readonly header_values: readonly (Buffer | null)[]
  readonly bytes: number
  readonly failures: number
  readonly due: boolean
}

/** How many rows of a lane are read at once; a lane's turn ends with them, so that others have theirs. */
export const rowsPerTurn = 50
const mostCleaned = 1_000
const isDue = '(retry_at IS NULL OR retry_at <= clock_timestamp())'

export class Rows {
  readonly #table: string

  constructor(database: Database) {
    this.#table = database.table('milena_outbox')
  }

  /**
   * The lanes behind this one, in the order of their numbers, at most `most`. It goes from lane to lane in the index,
   * however many rows each of them has.
   */
  heads(session: Session, behind: string | undefined, most: number): Promise<Head[]> {
    const head = (lanes: string): string => `(SELECT lane, failures, ${isDue} AS due FROM ${this.#table}
      WHERE sent_at IS NULL AND ${lanes} ORDER BY lane, id LIMIT 1)`
    return session.query<Head & { readonly lane: string }>(
      `WITH RECURSIVE heads AS (
        SELECT first.*, 1 AS visited FROM ${head('($1::bigint IS NULL OR lane > $1)')} AS first
        UNION ALL
        SELECT next.*, visited + 1 FROM heads, LATERAL ${head('lane > heads.lane')} AS next WHERE visited < $2
      ) SELECT lane::text, failures, due FROM heads`,
      [behind ?? null, most],
    )
  }

  /** Those of the lanes that are now ours. */
  async claim(session: Session, lanes: readonly string[]): Promise<string[]> {
    const rows = await session.query<{ readonly lane: string }>(
      'SELECT lane::text FROM unnest($1::bigint[]) AS lane WHERE pg_try_advisory_lock(lane)',
      [lanes],
    )
    return rows.map(({ lane }) => lane)
  }

  async release(session: Session, lanes: readonly string[]): Promise<void> {
    await session.query('SELECT pg_advisory_unlock(lane) FROM unnest($1::bigint[]) AS lane', [lanes])
  }

  /**
   * What these lanes have to send, in order; the first rows of all come before second ones, as far as `bytes` goes. To be
   * asked when the lanes are claimed, not before: what another relay has sent is gone by then.
   */
  async read(session: Session, lanes: readonly string[], bytes: number): Promise<Map<string, Row[]>> {
    const rows = await session.query<RawRow & { readonly id: string }>(
      `SELECT id::text, lane::text, topic, partition, key, value, header_names, header_values, bytes, failures, due FROM (
        SELECT turn.*, sum(bytes) OVER places AS total, row_number() OVER places AS number
        FROM unnest($1::bigint[]) AS claimed CROSS JOIN LATERAL (
          SELECT *, ${isDue} AS due, row_number() OVER (ORDER BY id) AS place FROM (
            SELECT * FROM ${this.#table} WHERE lane = claimed AND sent_at IS NULL ORDER BY id LIMIT ${rowsPerTurn}
          ) AS first
        ) AS turn
        WINDOW places AS (ORDER BY place, id)
      ) AS counted WHERE total <= $2 OR number = 1 ORDER BY counted.id`,
      [lanes, bytes],
    )
    const turns = new Map<string, Row[]>()
    const waiting = new Set<string>()
    for (const row of rows) {
      // Behind a row that waits for its next attempt the others of its lane wait too.
      if (!row.due) waiting.add(row.lane)
      if (waiting.has(row.lane)) continue
      const turn = turns.get(row.lane)
      if (turn === undefined) turns.set(row.lane, [toRow(row)])
      else turn.push(toRow(row))
    }
    return turns
  }

  /** They were acknowledged: marked where sent rows are kept, else deleted. */
  async sent(session: Session, ids: readonly string[], keep: boolean): Promise<void> {
    await session.query(
      keep
        ? `UPDATE ${this.#table} SET sent_at = clock_timestamp() WHERE id = ANY($1::bigint[])`
        : `DELETE FROM ${this.#table} WHERE id = ANY($1::bigint[])`,
      [ids],
    )
  }

  /** They are to be tried again after a pause that doubles with each failure. */
  async failed(session: Session, failures: readonly Failure[], maxPause: number): Promise<void> {
    await session.query(
      `UPDATE ${this.#table} AS row SET
        failures = row.failures + 1,
        failing_since = coalesce(row.failing_since, clock_timestamp()),
        retry_at = clock_timestamp() + least($4::float8, 1000 * 2 ^ least(row.failures, 30)) * interval '1 ms',
        error_code = failed.code,
        error_message = failed.message
      FROM unnest($1::bigint[], $2::text[], $3::text[]) AS failed(id, code, message)
      WHERE row.id = failed.id AND row.sent_at IS NULL`,
      [
        failures.map(({ id }) => id),
        failures.map(({ code }) => code),
        failures.map(({ message }) => message),
        maxPause,
      ],
    )
  }

  /** Deletes rows that were sent this many milliseconds ago; how many, and whether there may be more. */
  async clean(session: Session, keep: number): Promise<{ readonly deleted: number; readonly more: boolean }> {
    const rows = await session.query(
      `DELETE FROM ${this.#table} WHERE id IN (
        SELECT id FROM ${this.#table} WHERE sent_at <= clock_timestamp() - $1 * interval '1 ms'
        ORDER BY sent_at LIMIT ${mostCleaned} FOR UPDATE SKIP LOCKED
      ) RETURNING id`,
      [keep],
    )
    return { deleted: rows.length, more: rows.length === mostCleaned }
  }
}

function toRow(raw: RawRow): Row {
  const { id, lane, bytes, failures, topic, key, value } = raw
  const headers = raw.header_names.map((name, at): RawHeader => [name, raw.header_values[at] ?? null])
  const record = { topic, partition: raw.partition ?? undefined, key, value, headers }
  return { id, lane, bytes, failures, record }
}
