import { DatabaseError, Pool, type PoolConfig } from 'pg'
import { messageOf, StartError } from '../process/start-error.ts'

/** Milliseconds until a connection is had, and until a statement is answered: a database that hangs says nothing, ever. */
const limits = { connectionTimeoutMillis: 5_000, query_timeout: 15_000 }

/**
 * A pool of connections; rejects with a `StartError` when the database does not answer.
 *
 * @param url from `DATABASE_URL`
 */
export async function connectDatabase(
  url: string,
  config: Omit<PoolConfig, 'connectionString'>,
): Promise<Pool> {
  if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url)) {
    throw new StartError(
      `DATABASE_URL must be postgres://user@host:port/database, not ${JSON.stringify(withoutPassword(url))}`,
    )
  }
  const pool = new Pool({ ...limits, ...config, connectionString: url })
  // An idle connection that breaks is replaced; whoever needs the database learns it from the query.
  pool.on('error', () => {})
  try {
    await pool.query('select 1')
  } catch (error) {
    await pool.end()
    const does = isRefusal(error) ? 'refuses' : 'does not answer'
    throw new StartError(
      `the database at ${withoutPassword(url)} ${does} (${messageOf(error)}): ` +
        `${isRefusal(error) ? '' : 'start it, '}correct DATABASE_URL, or unset it to use the embedded one`,
    )
  }
  return pool
}

/** Whether the server itself said no, such as to a wrong password or a missing right. */
export function isRefusal(error: unknown): boolean {
  return error instanceof DatabaseError
}

/** For messages. What is no URL, or has a password with characters that are not to be in one, shows none of it either. */
export function withoutPassword(url: string): string {
  return url
    .replace(/^((?:[a-z][a-z0-9+.-]*:\/\/)?[^:@/?]*):(?!\/\/).*@/i, '$1:***@')
    .replaceAll(/([?&][^=&]*password=)[^&]*/gi, '$1***')
}
