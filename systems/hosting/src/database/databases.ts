/** Databases of a run's own on a server: made for it, gone after it. */
import { Client, escapeIdentifier } from 'pg'
import { messageOf, StartError } from '../process/start-error.ts'
import { connectDatabase, isRefusal, withoutPassword } from './connect.ts'

/**
 * Makes a database for each name, and gives their URLs by these names.
 *
 * @param prefix begins the databases' own names
 * @throws StartError when the server does not answer, or lets this user make none
 */
export async function createDatabases<Name extends string>(
  serverUrl: string,
  prefix: string,
  names: readonly Name[],
): Promise<Readonly<Record<Name, string>>> {
  await onServer(serverUrl, async (client) => {
    for (const name of names) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- each copies the same template
        await client.query(`create database ${escapeIdentifier(prefix + name)}`)
      } catch (error) {
        if (!isRefusal(error)) throw error
        throw new StartError(
          `the database at ${withoutPassword(serverUrl)} does not let this user make databases ` +
            `(${messageOf(error)}): grant CREATEDB, or unset DATABASE_URL to use the embedded one`,
        )
      }
    }
  })
  const urls = names.map((name) => [name, urlOf(serverUrl, prefix + name)] as const)
  return Object.fromEntries(urls) as Record<Name, string>
}

/** Removes what `createDatabases` has made, as far as it came. */
export async function dropDatabases(
  serverUrl: string,
  prefix: string,
  names: readonly string[],
): Promise<void> {
  await onServer(serverUrl, async (client) => {
    for (const name of names)
      // oxlint-disable-next-line no-await-in-loop -- one client
      await client.query(`drop database if exists ${escapeIdentifier(prefix + name)} with (force)`)
  })
}

function urlOf(serverUrl: string, database: string): string {
  const url = new URL(serverUrl)
  url.pathname = `/${encodeURIComponent(database)}`
  return url.href
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
