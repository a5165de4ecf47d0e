/** The system's database: made for a run, gone after it. */
import { isRefusal, messageOf, StartError, withoutPassword } from '@milena/hosting'
import { readFile } from 'node:fs/promises'
import { escapeIdentifier } from 'pg'
import { connect } from './connect.ts'

/** Makes a database with its tables on a server. Returns its URL. */
export async function createDatabase(serverUrl: string, name: string): Promise<string> {
  await run(serverUrl, `create database ${escapeIdentifier(name)}`).catch((error: unknown) => {
    if (!isRefusal(error)) throw error
    throw new StartError(
      `the database at ${withoutPassword(serverUrl)} does not let this user make databases ` +
        `(${messageOf(error)}): grant CREATEDB, or unset DATABASE_URL to use the embedded one`,
    )
  })
  const url = new URL(serverUrl)
  url.pathname = `/${encodeURIComponent(name)}`
  await createTables(url.href)
  return url.href
}

export async function createTables(url: string): Promise<void> {
  await run(url, await readFile(new URL('schema.sql', import.meta.url), 'utf8'))
}

/** Removes what `createDatabase` has made, as far as it came. */
export async function dropDatabase(serverUrl: string, name: string): Promise<void> {
  await run(serverUrl, `drop database if exists ${escapeIdentifier(name)} with (force)`)
}

async function run(url: string, sql: string): Promise<void> {
  const pool = await connect(url, 1)
  try {
    await pool.query(sql)
  } finally {
    await pool.end()
  }
}
