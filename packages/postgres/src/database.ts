/** What every store here has in common: whose tables, in which schema, and what is wrong when they are not there. */
import { MilenaError, OptionsError } from '@milena/request-reply'
import { isOptions, kindOf, unknownNames } from './given.ts'
import { escapeIdentifier, type ClientBase, type Pool, type PoolClient, type QueryResultRow } from 'pg'

/** Where a statement runs: in a transaction of the caller's, or on a connection of the pool's. */
export type Queryable = Pool | ClientBase

export interface StoreOptions {
  /** Opened, and closed, by the application. */
  readonly pool: Pool
  /** The schema that the tables are in; default `public`. It is the one that was given to `migrate`. */
  readonly schema?: string | undefined
}

/** Of stores that gather what many callers want written. */
export interface GroupedStoreOptions extends StoreOptions {
  /**
   * Milliseconds between the beginnings of two statements of a kind, at least; default 0. Where steps are frequent, more of
   * them share a statement, and each waits for up to that; a step that comes alone does not.
   */
  readonly pace?: number | undefined
  /**
   * Whether the statements that gather many steps are prepared, once on each connection, which saves PostgreSQL a third of
   * its work for them; default false. It keeps the plan that was best when it was prepared, mostly while the tables were
   * empty: have `enable_seqscan=off` in the pool's `options`. Not for a pooler between that mixes sessions, unless it knows
   * prepared statements.
   */
  readonly prepared?: boolean | undefined
}

/** PostgreSQL's SQLSTATEs for a table, a column and a schema that is not there. */
const missing: ReadonlySet<unknown> = new Set(['42P01', '42703', '3F000'])

/** Of a prepared statement, in bytes. */
const longestName = 63

/** The tables of one store. */
export class Database {
  readonly pool: Pool
  readonly schema: string
  readonly #migration: string
  readonly #prepared: boolean

  /** @param migration the last one that this store needs, such as `002-outbox` */
  constructor({ pool, schema, prepared = false }: GroupedStoreOptions, migration: string) {
    this.pool = pool
    hearErrors(pool)
    this.schema = readSchema(schema)
    this.#migration = migration
    this.#prepared = prepared
  }

  /** A table as it is written in a statement: `"public"."milena_outbox"`. */
  table(name: string): string {
    return `${quoted(this.schema)}.${quoted(name)}`
  }

  /** @throws MilenaError `MILENA_NOT_MIGRATED`, or what PostgreSQL says */
  async query<Row extends QueryResultRow>(
    text: string,
    values: unknown[] = [],
    on: Queryable = this.pool,
    name?: string,
  ): Promise<Row[]> {
    try {
      const { rows } =
        name === undefined ? await on.query<Row>(text, values) : await on.query<Row>({ name, text, values })
      return rows
    } catch (error) {
      throw this.explained(error)
    }
  }

  /** The same, prepared under a name of its own if that is wanted. */
  often<Row extends QueryResultRow>(what: string, text: string, values: unknown[]): Promise<Row[]> {
    const name = `milena ${what} ${this.schema}`
    return this.query<Row>(
      text,
      values,
      this.pool,
      this.#prepared && Buffer.byteLength(name) <= longestName ? name : undefined,
    )
  }

  /** Runs this in a transaction of its own, which is rolled back when it throws. */
  async transaction<Result>(run: (tx: PoolClient) => Promise<Result>): Promise<Result> {
    const tx = await takeClient(this.pool, () => undefined)
    let broken: Error | undefined
    try {
      await tx.query('BEGIN')
      const result = await run(tx)
      await tx.query('COMMIT')
      return result
    } catch (error) {
      await tx.query('ROLLBACK').catch((failed: Error) => (broken = failed))
      throw this.explained(error)
    } finally {
      // A connection on which not even that can be said is not used again.
      tx.release(broken)
    }
  }

  /** The error, or one that says which migration is missing. */
  explained(error: unknown): unknown {
    if (error instanceof MilenaError || !isMissing(error)) return error
    const message =
      `migration ${this.#migration} has not been applied to schema ${this.schema}: ` +
      `call migrate(pool, { schema }) of @milena/postgres before, or run what printMigrations() gives`
    return new MilenaError('MILENA_NOT_MIGRATED', message, { cause: error })
  }
}

/** Pools whose `error` event is heard. */
const heard = new WeakSet<Pool>()

/**
 * A pool tells of an idle connection that was lost, by a restart of PostgreSQL, as an `error` event, which ends the process
 * when nobody hears it. It opens another one when it needs one, and whoever needs one is told when it cannot.
 */
function hearErrors(pool: Pool | undefined): void {
  if (typeof pool?.on !== 'function' || heard.has(pool)) return
  heard.add(pool)
  pool.on('error', () => undefined)
}

/**
 * Takes a client out of the pool, whose `error` event is heard from the first moment on: between two statements nobody
 * else hears it, and what nobody hears ends the process. Of a client that has failed every further statement rejects.
 */
export function takeClient(pool: Pool, onError: (error: Error) => void): Promise<PoolClient> {
  return new Promise((resolve, reject) => {
    pool.connect((failed, client) => {
      if (client === undefined) return reject(failed ?? new Error('the pool has given no client'))
      client.on('error', onError)
      const release = client.release.bind(client)
      client.release = (broken) => {
        client.release = release
        if (broken === undefined || broken === false) client.off('error', onError)
        release(broken)
      }
      resolve(client)
    })
  })
}

function isMissing(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code, message } = error as Error & { readonly code?: unknown }
  // Only of our own tables: in the caller's transaction one of the application's may be missing.
  return missing.has(code) && /milena_|schema/.test(message)
}

/** @throws OptionsError when it is no name that PostgreSQL can take */
export function readSchema(schema: string | undefined): string {
  const name: unknown = schema ?? 'public'
  if (isSchema(name)) return name
  throw new OptionsError('@milena/postgres', [badSchema(name)])
}

/**
 * What is wrong with the pool of these options, their schema, and their names.
 *
 * @param own the options beside `pool` and `schema`
 */
export function storeProblems(options: unknown, own: readonly string[] = []): string[] {
  if (!isOptions(options)) return [`the options must be an object with a pool, not ${kindOf(options)}`]
  const { pool, schema } = options as { readonly pool?: unknown; readonly schema?: unknown }
  return [
    ...(isPool(pool) ? [] : ['pool must be a Pool of pg']),
    ...(isSchema(schema ?? 'public') ? [] : [badSchema(schema)]),
    ...unknownNames(options, ['pool', 'schema', ...own]),
  ]
}

/** @throws OptionsError that lists every problem */
export function checkStore(name: string, options: unknown, own?: readonly string[]): void {
  const problems = storeProblems(options, own)
  if (problems.length > 0) throw new OptionsError(name, problems)
}

function isPool(given: unknown): boolean {
  const { connect, query } = Object(given) as { readonly connect?: unknown; readonly query?: unknown }
  return typeof connect === 'function' && typeof query === 'function'
}

function isSchema(name: unknown): name is string {
  return typeof name === 'string' && name !== '' && Buffer.byteLength(name) <= 63 && !name.includes('\0')
}

function badSchema(name: unknown): string {
  return `schema must be a name of 1 to 63 bytes, not ${typeof name === 'string' ? JSON.stringify(name) : kindOf(name)}`
}

/** An identifier in a statement, whatever characters are in it. */
export const quoted: (name: string) => string = escapeIdentifier
