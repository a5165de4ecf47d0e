/** The PostgreSQL that a test file runs on, with a database of its own. */
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findFreePort, startDatabase, type DatabaseServer } from '@milena/hosting'
import { Pool, type PoolConfig } from 'pg'

export interface TestDatabase extends AsyncDisposable {
  /** Of a database that is nobody else's, and empty. */
  readonly url: string
  /** Connections to it, ended at `close`. */
  readonly pool: Pool
  /** A further pool, such as another process has; ended at `close`, too. */
  openPool(options?: PoolConfig): Pool
  /** Ends connections that somebody has to it at present, as a crash of theirs would; how many. `where`: of `pg_stat_activity`. */
  killConnections(where?: string): Promise<number>
  /** Statements that write to the table wait meanwhile, as they do at a server that hangs, and are carried out afterwards. */
  whileLocked<Result>(table: string, work: () => Promise<Result>): Promise<Result>
  /** Whether new connections are accepted; those that stand stay. */
  allowConnections(allowed: boolean): Promise<void>
  /** Removes the database, and stops the server if it was started for this. */
  close(): Promise<void>
}

/**
 * Opens a database of the caller's own on the server of `DATABASE_URL`, or on an embedded one, which is started at the
 * first call and stopped when the last of its databases is closed. To be closed in an `after` hook.
 */
export async function openTestDatabase(): Promise<TestDatabase> {
  const server = await acquireServer()
  const name = `milena_test_${randomBytes(6).toString('hex')}`
  const admin = new Pool({ connectionString: server.url, max: 1 })
  admin.on('error', () => undefined)
  try {
    await admin.query(`CREATE DATABASE ${name}`)
  } catch (error) {
    await admin.end()
    await server.release()
    throw error
  }
  const url = new URL(server.url)
  url.pathname = `/${name}`
  const pools: Pool[] = []
  const openPool = (options: PoolConfig = {}): Pool => {
    const pool = new Pool({ connectionString: url.href, ...options })
    pool.on('error', () => undefined) // an idle connection that was killed
    pools.push(pool)
    return pool
  }
  const close = async (): Promise<void> => {
    await Promise.all(pools.filter((pool) => !pool.ended).map((pool) => pool.end()))
    await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
    await admin.end()
    await server.release()
  }
  const pool = openPool()
  return {
    url: url.href,
    pool,
    openPool,
    async killConnections(where = 'true') {
      const { rows } = await admin.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND (${where})`,
        [name],
      )
      return rows.length
    },
    async whileLocked(table, work) {
      const client = await pool.connect()
      try {
        await client.query(`BEGIN; LOCK TABLE ${table} IN SHARE ROW EXCLUSIVE MODE`)
        return await work()
      } finally {
        await client.query('COMMIT')
        client.release()
      }
    },
    async allowConnections(allowed) {
      await admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS ${allowed}`)
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

interface Acquired {
  readonly url: string
  release(): Promise<void>
}

let embedded:
  | { readonly started: Promise<{ server: DatabaseServer; folder: string }>; users: number }
  | undefined

async function acquireServer(): Promise<Acquired> {
  // The second is the one that `npm test` has started for all files.
  const named = process.env['DATABASE_URL'] || process.env['MILENA_TEST_DATABASE']
  if (named) return { url: named, release: async () => undefined }
  const mine = (embedded ??= { started: startEmbedded(), users: 0 })
  mine.users++
  const { server, folder } = await mine.started
  return {
    url: server.url,
    async release() {
      if (--mine.users > 0) return
      if (embedded === mine) embedded = undefined
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function startEmbedded(): Promise<{ server: DatabaseServer; folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'milena-test-'))
  await chmod(folder, 0o755) // PostgreSQL runs as another user where we are root
  const server = await startDatabase({ dataDir: join(folder, 'data'), port: await findFreePort() })
  return { server, folder }
}
