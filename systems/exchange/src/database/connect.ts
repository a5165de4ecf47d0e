import { messageOf, StartError } from '@milena/hosting'
import { DatabaseError, Pool, TypeOverrides, type PoolClient } from 'pg'

/** PostgreSQL's types `bigint` and `numeric`. Amounts are bounded so that all that there are add up below 2^53. */
const numbers = [20, 1700]

/** A pool of connections; rejects with a `StartError` when the database does not answer. */
export async function connect(url: string, connections: number): Promise<Pool> {
  if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url)) {
    throw new StartError(
      `DATABASE_URL must be postgres://user@host:port/database, not ${JSON.stringify(withoutPassword(url))}`,
    )
  }
  const types = new TypeOverrides()
  for (const type of numbers) types.setTypeParser(type, Number)
  const pool = new Pool({
    connectionString: url,
    max: connections,
    connectionTimeoutMillis: 20_000,
    types,
  })
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

/** Runs this in a transaction, which is rolled back when it throws. */
export async function inTransaction<Result>(
  pool: Pool,
  run: (tx: PoolClient) => Promise<Result>,
  begin = 'begin',
): Promise<Result> {
  const tx = await pool.connect()
  let broken: Error | undefined
  // Between two statements nobody else hears it.
  const onError = (error: Error): void => void (broken = error)
  tx.on('error', onError)
  try {
    await tx.query(begin)
    const result = await run(tx)
    await tx.query('commit')
    return result
  } catch (error) {
    await tx.query('rollback').catch((failed: Error) => (broken = failed))
    throw error
  } finally {
    tx.off('error', onError)
    tx.release(broken)
  }
}

/** Whether the server itself said no, such as to a wrong password or a missing right. */
export function isRefusal(error: unknown): boolean {
  return error instanceof DatabaseError
}

export function withoutPassword(url: string): string {
  return url.replace(/\/\/([^:@/]*):[^@/]*@/, '//$1:***@')
}
