/** Brings the tables up to date, the library's and our own: each numbered file of `migrations/` once, in order, by one process at a time. */
import { readdir, readFile } from 'node:fs/promises'
import { migrate as migrateStores } from '@milena/postgres'
import { escapeIdentifier, type Pool } from 'pg'
import { connect, schemaOf } from './connect.ts'

/** The advisory lock's number: any that nobody else uses in this database. */
const lock = 711_007

/** `schema` is where the pool's connections look. */
export async function migrate(pool: Pool, schema: string): Promise<void> {
  const folder = new URL('migrations/', import.meta.url)
  await migrateStores(pool, { schema })
  const files = (await readdir(folder)).filter((name) => name.endsWith('.sql')).toSorted()
  const client = await pool.connect()
  try {
    await client.query('begin')
    await client.query('select pg_advisory_xact_lock($1)', [lock])
    await client.query(`create schema if not exists ${escapeIdentifier(schema)}`)
    await client.query(
      'create table if not exists payment_migrations (name text primary key, applied_at timestamptz not null default now())',
    )
    const { rows } = await client.query<{ name: string }>('select name from payment_migrations')
    const applied = new Set(rows.map((row) => row.name))
    for (const name of files.filter((name) => !applied.has(name))) {
      await client.query(await readFile(new URL(name, folder), 'utf8'))
      await client.query('insert into payment_migrations (name) values ($1)', [name])
    }
    await client.query('commit')
  } catch (error) {
    await client.query('rollback').catch(() => {})
    throw error
  } finally {
    client.release()
  }
}

/** Removes the schema that a system with this prefix has left in a shared database. */
export async function removeTables(databaseUrl: string, prefix: string): Promise<void> {
  if (prefix === '') throw new RangeError('without a prefix the tables are in a schema that others use too')
  const pool = await connect(databaseUrl, prefix, 1)
  try {
    await pool.query(`drop schema if exists ${escapeIdentifier(schemaOf(prefix))} cascade`)
  } finally {
    await pool.end()
  }
}
