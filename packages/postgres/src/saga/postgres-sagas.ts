import {
  TransactionRefused,
  type ClaimedSaga,
  type SagaChanges,
  type SagaClaim,
  type SagaCounts,
  type SagaFilter,
  type SagaPage,
  type SagaState,
  type SagaStatus,
  type SagaStore,
  type SavedSaga,
} from '@milena/request-reply'
import type { PoolClient } from 'pg'
import { checkStore, Database, type Queryable, type StoreOptions } from '../database.ts'
import { claimedColumns, claimedOf, statusOf, valuesOf, type ClaimedRow, type StatusRow } from './rows.ts'

/** Thrown to roll back what need not be. */
class NothingToDo extends Error {}

/**
 * Sagas in PostgreSQL (13 or later), with its durability. The transaction of `inTransaction`, and of the outbox, is the one
 * in which the saga's state changes.
 *
 * **Not guaranteed**: what PostgreSQL itself loses, with `synchronous_commit = off`, at a failover to a replica that is
 * behind, or by a restore. `changes` tells a change when no transaction that began before it, anywhere in the database
 * cluster, is writing any more: a long one holds it up.
 *
 * @throws OptionsError
 */
export function postgresSagas(options: StoreOptions): SagaStore<PoolClient> {
  checkStore('postgresSagas', options)
  return new PostgresSagas(new Database(options, '004-saga'))
}

class PostgresSagas implements SagaStore<PoolClient> {
  readonly #database: Database
  readonly #sagas: string
  readonly #owners: string

  constructor(database: Database) {
    this.#database = database
    this.#sagas = database.table('milena_saga')
    this.#owners = database.table('milena_saga_owner')
  }

  async create(
    status: SagaStatus,
    owner: string | undefined,
    write?: (transaction: PoolClient) => void | Promise<void>,
  ): Promise<SagaClaim | { readonly existing: SagaStatus }> {
    for (;;) {
      const claim = await this.#create(status, owner, write)
      if (claim !== undefined) return claim
      const [existing] = await this.read([status.id])
      if (existing !== undefined) return { existing }
      // It was removed in between.
    }
  }

  async #create(
    status: SagaStatus,
    owner: string | undefined,
    write: ((transaction: PoolClient) => void | Promise<void>) | undefined,
  ): Promise<SagaClaim | undefined> {
    const token = owner === undefined ? 0 : 1
    const insert = async (on?: Queryable): Promise<boolean> => {
      const rows = await this.#database.query(
        `INSERT INTO ${this.#sagas}
           (id, saga, started_at, token, version, owner, due_at, state, status, waiting_for, stuck)
         VALUES ($1, $2, $3, $4, 1, $5, clock_timestamp(), $6, $7, $8, $9)
         ON CONFLICT (id) DO NOTHING RETURNING id`,
        [status.id, status.saga, Math.round(status.startedAt), token, owner ?? null, ...valuesOf(status)],
        on,
      )
      return rows.length === 1
    }
    const claim = { id: status.id, token, version: 1 }
    if (write === undefined) return (await insert()) ? claim : undefined
    return this.#unlessInVain(async (transaction) => {
      await write(transaction)
      if (!(await insert(transaction))) throw new NothingToDo()
      return claim
    })
  }

  async read(ids: readonly string[]): Promise<readonly SagaStatus[]> {
    const text = `SELECT status::text AS status FROM ${this.#sagas} WHERE id = ANY($1)`
    return (await this.#database.query<StatusRow>(text, [ids])).map(statusOf)
  }

  async waitingFor(correlationId: string): Promise<SagaStatus | undefined> {
    const text = `SELECT status::text AS status FROM ${this.#sagas} WHERE waiting_for = $1 LIMIT 1`
    const [row] = await this.#database.query<StatusRow>(text, [correlationId])
    return row && statusOf(row)
  }

  async claim(id: string, owner: string): Promise<ClaimedSaga | undefined> {
    const [row] = await this.#database.query<ClaimedRow>(
      `UPDATE ${this.#sagas} AS saga SET owner = $2, token = token + 1
       WHERE id = $1 AND ended_at IS NULL AND (owner IS NULL OR (owner <> $2 AND ${this.#ownerGone}))
       RETURNING ${claimedColumns}`,
      [id, owner],
    )
    return row && claimedOf(row)
  }

  async claimDue(owner: string, sagas: readonly string[], limit: number): Promise<readonly ClaimedSaga[]> {
    const rows = await this.#database.query<ClaimedRow>(
      `WITH free AS (
         SELECT id FROM ${this.#sagas}
         WHERE owner IS NULL AND due_at <= clock_timestamp() AND saga = ANY($2)
         ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
       ), left_behind AS (
         SELECT id FROM ${this.#sagas} AS saga
         WHERE owner IS NOT NULL AND owner <> $1 AND saga.saga = ANY($2) AND ${this.#ownerGone}
         LIMIT $3 FOR UPDATE SKIP LOCKED
       ), due AS (SELECT id FROM left_behind UNION ALL SELECT id FROM free LIMIT $3)
       UPDATE ${this.#sagas} AS saga SET owner = $1, token = token + 1
       FROM due WHERE saga.id = due.id RETURNING ${claimedColumns}`,
      [owner, sagas, limit],
    )
    return rows.map(claimedOf)
  }

  async claimOwn(owner: string, except: readonly string[], limit: number): Promise<readonly ClaimedSaga[]> {
    const rows = await this.#database.query<ClaimedRow>(
      `WITH own AS (
         SELECT id FROM ${this.#sagas} WHERE owner = $1 AND id <> ALL($2) LIMIT $3 FOR UPDATE SKIP LOCKED
       )
       UPDATE ${this.#sagas} AS saga SET token = token + 1
       FROM own WHERE saga.id = own.id RETURNING ${claimedColumns}`,
      [owner, except, limit],
    )
    return rows.map(claimedOf)
  }

  /** Whether the owner of the row `saga` has no lease. */
  get #ownerGone(): string {
    return `NOT EXISTS (
      SELECT FROM ${this.#owners} AS owners
      WHERE owners.owner = saga.owner AND owners.lease_ends > clock_timestamp()
    )`
  }

  async save(
    claim: SagaClaim,
    change: SavedSaga | ((transaction: PoolClient) => Promise<SavedSaga>),
  ): Promise<SagaClaim | undefined> {
    const next = { ...claim, version: claim.version + 1 }
    if (typeof change !== 'function') return (await this.#update(claim, change)) ? next : undefined
    let ended = false
    try {
      return await this.#unlessInVain(async (transaction) => {
        const saved = await change(transaction)
        ended = true
        if (!(await this.#update(claim, saved, transaction))) throw new NothingToDo()
        return next
      })
    } catch (error) {
      throw ended ? refusedOr(error) : error
    }
  }

  async #update(claim: SagaClaim, { status, free }: SavedSaga, on?: Queryable): Promise<boolean> {
    const ended = status.endedAt !== undefined
    const rows = await this.#database.query(
      `UPDATE ${this.#sagas} SET
         version = version + 1,
         state = $4, status = $5, waiting_for = $6, stuck = $7,
         owner = CASE WHEN $8 THEN NULL ELSE owner END,
         due_at = CASE WHEN $8 THEN clock_timestamp() + $9::float8 * interval '1 millisecond' ELSE due_at END,
         ended_at = CASE WHEN $10 THEN clock_timestamp() END,
         changed_in = pg_current_xact_id()
       WHERE id = $1 AND token = $2 AND version = $3 AND owner IS NOT NULL
       RETURNING id`,
      [
        claim.id,
        claim.token,
        claim.version,
        ...valuesOf(status),
        ended || free !== undefined,
        ended ? null : (free?.dueIn ?? null),
        ended,
      ],
      on,
    )
    return rows.length === 1
  }

  async current({ id, token }: SagaClaim): Promise<ClaimedSaga | undefined> {
    const [row] = await this.#database.query<ClaimedRow>(
      `SELECT ${claimedColumns} FROM ${this.#sagas} AS saga WHERE id = $1 AND token = $2`,
      [id, token],
    )
    return row && claimedOf(row)
  }

  async renew(owner: string, lease: number): Promise<void> {
    await this.#database.query(
      `INSERT INTO ${this.#owners} VALUES ($1, clock_timestamp() + $2::float8 * interval '1 millisecond')
       ON CONFLICT (owner) DO UPDATE SET lease_ends = excluded.lease_ends`,
      [owner, lease],
    )
  }

  async retire(owner: string): Promise<void> {
    await this.#database.query(`DELETE FROM ${this.#owners} WHERE owner = $1`, [owner])
  }

  async list({ saga, state, stuck, since, limit = 100, after = '0' }: SagaFilter): Promise<SagaPage> {
    const values: unknown[] = [after, limit + 1]
    const conditions = ['place > $1']
    const where = (condition: string, value: unknown): void => {
      if (value !== undefined) conditions.push(`${condition} $${values.push(value)}`)
    }
    where('saga =', saga)
    where('state =', state)
    where('stuck =', stuck)
    where('started_at >=', since && Math.ceil(since))
    const rows = await this.#database.query<StatusRow & { readonly place: string }>(
      `SELECT place, status::text AS status FROM ${this.#sagas}
       WHERE ${conditions.join(' AND ')} ORDER BY place LIMIT $2`,
      values,
    )
    const page = rows.slice(0, limit)
    return { sagas: page.map(statusOf), cursor: rows.length > limit ? page.at(-1)?.place : undefined }
  }

  /** A cursor is a transaction and a place: what such a transaction changed is told when none before it can come any more. */
  async changes(cursor: string | undefined, limit: number): Promise<SagaChanges> {
    if (cursor === undefined) {
      const text = 'SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS first'
      const [row] = await this.#database.query<{ readonly first: string }>(text)
      return { sagas: [], cursor: `${row?.first}:0` }
    }
    const [transaction, place] = cursor.split(':')
    const rows = await this.#database.query<StatusRow & { readonly cursor: string }>(
      `SELECT status::text AS status, changed_in::text || ':' || place AS cursor FROM ${this.#sagas}
       WHERE (changed_in, place) > ($1::xid8, $2::bigint)
         AND changed_in < pg_snapshot_xmin(pg_current_snapshot())
       ORDER BY changed_in, place LIMIT $3`,
      [transaction, place, limit],
    )
    return { sagas: rows.map(statusOf), cursor: rows.at(-1)?.cursor ?? cursor }
  }

  async count(): Promise<SagaCounts> {
    const rows = await this.#database.query<{
      readonly state: SagaState
      readonly sagas: string
      readonly stuck: string
      readonly oldest: string
    }>(
      `SELECT state, count(*) AS sagas, count(*) FILTER (WHERE stuck) AS stuck, min(started_at) AS oldest
       FROM ${this.#sagas} GROUP BY state`,
    )
    const of = (state: SagaState): number => Number(rows.find((row) => row.state === state)?.sagas ?? 0)
    const open = rows.filter(({ state }) => state === 'running' || state === 'compensating')
    return {
      running: of('running'),
      compensating: of('compensating'),
      completed: of('completed'),
      compensated: of('compensated'),
      stuck: open.reduce((sum, { stuck }) => sum + Number(stuck), 0),
      oldest: open.length === 0 ? undefined : Math.min(...open.map(({ oldest }) => Number(oldest))),
    }
  }

  async removeEnded(age: number, limit: number): Promise<number> {
    await this.#database.query(
      `DELETE FROM ${this.#owners} WHERE lease_ends < clock_timestamp() - interval '1 hour'`,
    )
    const rows = await this.#database.query(
      `DELETE FROM ${this.#sagas} WHERE id IN (
         SELECT id FROM ${this.#sagas} WHERE ended_at < clock_timestamp() - $1::float8 * interval '1 millisecond'
         ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED
       ) RETURNING id`,
      [age, limit],
    )
    return rows.length
  }

  /** A transaction that is rolled back, and gives nothing, when it finds that there is nothing to do. */
  async #unlessInVain<Result>(
    run: (transaction: PoolClient) => Promise<Result>,
  ): Promise<Result | undefined> {
    try {
      return await this.#database.transaction(run)
    } catch (error) {
      if (error instanceof NothingToDo) return undefined
      throw error
    }
  }
}

/**
 * What a transaction is refused for whose own statements went well, or seemed to: a constraint that is looked at when it
 * ends, a trigger, a statement that failed unnoticed.
 */
function refusedOr(error: unknown): unknown {
  const { code } = Object(error) as { readonly code?: unknown }
  if (typeof code !== 'string' || !/^(23|44|P0)...$|^25P02$/.test(code)) return error
  const what =
    code === '25P02'
      ? 'a statement of it has failed, and the error was not passed on'
      : (error as Error).message
  return new TransactionRefused(`the transaction cannot be committed: ${what}`, { cause: error })
}
