/** What every store here has in common: whose tables, in which schema, and what is wrong when they are not there. */
import { MilenaError, OptionsError } from '@milena/request-reply'
import { escapeIdentifier, type ClientBase, type Pool, type PoolClient, type QueryResultRow } from 'pg'

/** Where a statement runs: in a transaction of the caller's, or on a connection of the pool's. */
export type Queryable = Pool | ClientBase

export interface StoreOptions {
  /** Opened, and closed, by the application. */
  readonly pool: Pool
  /** The schema that the tables are in; default `public`. It is the one that was given to `migrate`. */
  readonly schema?: string | undefined
}

/** PostgreSQL's SQLSTATEs for a table, a column and a schema that is not there. */
const missing: ReadonlySet<unknown> = new Set(['42P01', '42703', '3F000'])

/** The tables of one store. */
export class Database {
  readonly pool: Pool
  readonly schema: string
  readonly #migration: string

  /** @param migration the last one that this store needs, such as `002-outbox` */
  constructor({ pool, schema }: StoreOptions, migration: string) {
    if (typeof (pool as Pool | undefined)?.connect !== 'function')
      throw new OptionsError('pool', ['must be a Pool of pg'])
    this.pool = pool
    this.schema = readSchema(schema)
    this.#migration = migration
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
  ): Promise<Row[]> {
    try {
      return (await on.query<Row>(text, values)).rows
    } catch (error) {
      throw this.explained(error)
    }
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
  if (typeof name === 'string' && name !== '' && Buffer.byteLength(name) <= 63 && !name.includes('\0'))
    return name
  throw new OptionsError('schema', [`must be a name of 1 to 63 bytes, not ${JSON.stringify(name)}`])
}

/** An identifier in a statement, whatever characters are in it. */
export const quoted: (name: string) => string = escapeIdentifier
