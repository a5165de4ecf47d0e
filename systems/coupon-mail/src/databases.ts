/** Each service has a database of its own: made for a run, gone after it. */
import { connectDatabase, type Foundation } from '@milena/hosting'
import { migrate } from '@milena/postgres'
import { readFile } from 'node:fs/promises'

export const databaseNames = ['coupon', 'mail-worker', 'mail-api'] as const
export type DatabaseName = (typeof databaseNames)[number]
export type DatabaseUrls = Readonly<Record<DatabaseName, string>>

const schemas: Readonly<Record<DatabaseName, URL | undefined>> = {
  coupon: new URL('coupon/schema.sql', import.meta.url),
  // It has only what the library keeps: stored replies.
  'mail-worker': undefined,
  'mail-api': new URL('mail-api/schema.sql', import.meta.url),
}

/** Makes the databases and their tables under names that begin with `prefix`. */
export async function openDatabases(foundation: Foundation, prefix: string): Promise<DatabaseUrls> {
  const urls = await foundation.createDatabases(prefix, databaseNames)
  await Promise.all(databaseNames.map((name) => applySchema(urls[name], name)))
  return urls
}

export async function applySchema(url: string, name: DatabaseName): Promise<void> {
  const pool = await connectDatabase(url, { max: 1 })
  try {
    if (name !== 'mail-api') await migrate(pool)
    const schema = schemas[name]
    if (schema !== undefined) await pool.query(await readFile(schema, 'utf8'))
  } finally {
    await pool.end()
  }
}
