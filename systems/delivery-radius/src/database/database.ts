/** The system's database: made for a run, gone after it. */
import type { Foundation } from '@milena/hosting'
import { readFile } from 'node:fs/promises'
import { connect } from './connect.ts'
import { createShops } from './shops.ts'

/** Makes it, with its tables and so many shops. Returns its URL. */
export async function openDatabase(foundation: Foundation, prefix: string, shops: number): Promise<string> {
  const { 'delivery-radius': url } = await foundation.createDatabases(prefix, ['delivery-radius'])
  await createTables(url)
  const pool = await connect(url, 1)
  try {
    await createShops(pool, shops)
  } finally {
    await pool.end()
  }
  return url
}

export async function createTables(url: string): Promise<void> {
  const pool = await connect(url, 1)
  try {
    await pool.query(await readFile(new URL('schema.sql', import.meta.url), 'utf8'))
  } finally {
    await pool.end()
  }
}
