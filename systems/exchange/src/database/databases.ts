/** Each service has a database of its own: made for a run, gone after it. */
import { isRefusal, messageOf, StartError, withoutPassword } from '@milena/hosting'
import { migrate } from '@milena/postgres'
import { readFile } from 'node:fs/promises'
import { Client, escapeIdentifier } from 'pg'
import { connect } from './connect.ts'

export const databaseNames = ['exchange', 'krw-account', 'fx-account'] as const
export type DatabaseName = (typeof databaseNames)[number]
export type DatabaseUrls = Readonly<Record<DatabaseName, string>>

const schemas: Readonly<Record<DatabaseName, URL>> = {
  exchange: new URL('../exchange/schema.sql', import.meta.url),
  'krw-account': new URL('../account/schema.sql', import.meta.url),
  'fx-account': new URL('../account/schema.sql', import.meta.url),
}

/** Makes the databases and their tables on a server, under names that begin with `prefix`. */
export async function createDatabases(serverUrl: string, prefix: string): Promise<DatabaseUrls> {
  const urls = urlsOf(serverUrl, prefix)
  await onServer(serverUrl, async (client) => {
    for (const name of databaseNames) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- each copies the same template
        await client.query(`create database ${escapeIdentifier(nameOf(prefix, name))}`)
      } catch (error) {
        if (!isRefusal(error)) throw error
        throw new StartError(
          `the database at ${withoutPassword(serverUrl)} does not let this user make databases ` +
            `(${messageOf(error)}): grant CREATEDB, or unset DATABASE_URL to use the embedded one`,
        )
      }
    }
  })
  await Promise.all(databaseNames.map((name) => applySchema(urls[name], name)))
  return urls
}

/** Removes what `createDatabases` has made, as far as it came. */
export async function dropDatabases(serverUrl: string, prefix: string): Promise<void> {
  await onServer(serverUrl, async (client) => {
    for (const name of databaseNames)
      // oxlint-disable-next-line no-await-in-loop -- one client
      await client.query(`drop database if exists ${escapeIdentifier(nameOf(prefix, name))} with (force)`)
  })
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

function urlsOf(serverUrl: string, prefix: string): DatabaseUrls {
  const of = (name: DatabaseName): string => {
    const url = new URL(serverUrl)
    url.pathname = `/${encodeURIComponent(nameOf(prefix, name))}`
    return url.href
  }
  return { exchange: of('exchange'), 'krw-account': of('krw-account'), 'fx-account': of('fx-account') }
}

function nameOf(prefix: string, name: DatabaseName): string {
  return `${prefix}${name}`
}

async function onServer(url: string, run: (client: Client) => Promise<void>): Promise<void> {
  // A server that does not answer is told in words.
  await (await connect(url, 1)).end()
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await run(client)
  } finally {
    await client.end()
  }
}
