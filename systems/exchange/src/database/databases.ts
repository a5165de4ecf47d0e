/** Each service has a database of its own: made for a run, gone after it. */
import type { Foundation } from '@milena/hosting'
import { migrate } from '@milena/postgres'
import { readFile } from 'node:fs/promises'
import { connect } from './connect.ts'

export const databaseNames = ['exchange', 'krw-account', 'fx-account'] as const
export type DatabaseName = (typeof databaseNames)[number]
export type DatabaseUrls = Readonly<Record<DatabaseName, string>>

const schemas: Readonly<Record<DatabaseName, URL>> = {
  exchange: new URL('../exchange/schema.sql', import.meta.url),
  'krw-account': new URL('../account/schema.sql', import.meta.url),
  'fx-account': new URL('../account/schema.sql', import.meta.url),
}

/** Makes the databases and their tables under names that begin with `prefix`. */
export async function openDatabases(foundation: Foundation, prefix: string): Promise<DatabaseUrls> {
  const urls = await foundation.createDatabases(prefix, databaseNames)
  await Promise.all(databaseNames.map((name) => applySchema(urls[name], name)))
  return urls
}

export async function applySchema(url: string, name: DatabaseName): Promise<void> {
  const pool = await connect(url, 1)
  try {
    // What the library keeps: stored replies, the outbox, the sagas.
    await migrate(pool)
    await pool.query(await readFile(schemas[name], 'utf8'))
  } finally {
    await pool.end()
  }
}
