/** Databases of a run's own on a server: made for it, gone after it. */
import { Client, escapeIdentifier } from 'pg'
import { messageOf, StartError } from '../process/start-error.ts'
import { connectDatabase, isRefusal, withoutPassword } from './connect.ts'

/** PostgreSQL's code for a database that is there already. */
const duplicateDatabase = '42P04'

/**
 * Makes a database. Returns its URL.
 *
 * @throws StartError when the server does not answer, lets this user make none, or has one of that name
 */
export async function createDatabase(serverUrl: string, name: string): Promise<string> {
  await onServer(serverUrl, async (client) => {
    try {
      await client.query(`create database ${escapeIdentifier(name)}`)
    } catch (error) {
      if (!isRefusal(error)) throw error
      if ((error as { code?: string }).code === duplicateDatabase)
        throw new StartError(`the database ${name} is there already: choose another --prefix, or drop it`)
      throw new StartError(
        `the database at ${withoutPassword(serverUrl)} does not let this user make databases ` +
          `(${messageOf(error)}): grant CREATEDB, or unset DATABASE_URL to use the embedded one`,
      )
    }
  })
  const url = new URL(serverUrl)
  url.pathname = `/${encodeURIComponent(name)}`
  return url.href
}

/** Removes databases, whoever is connected to them. */
export async function dropDatabases(serverUrl: string, names: readonly string[]): Promise<void> {
  await onServer(serverUrl, async (client) => {
    for (const name of names)
      // oxlint-disable-next-line no-await-in-loop -- one client
      await client.query(`drop database if exists ${escapeIdentifier(name)} with (force)`)
  })
}

async function onServer(url: string, run: (client: Client) => Promise<void>): Promise<void> {
  // A server that does not answer is told in words.
  await (await connectDatabase(url, { max: 1 })).end()
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await run(client)
  } finally {
    await client.end()
  }
}
