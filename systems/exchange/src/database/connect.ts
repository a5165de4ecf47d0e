import { connectDatabase } from '@milena/hosting'
import { TypeOverrides, type Pool, type PoolClient } from 'pg'

/** PostgreSQL's types `bigint` and `numeric`. Amounts are bounded so that all that there are add up below 2^53. */
const numbers = [20, 1700]

/** A pool of connections; rejects with a `StartError` when the database does not answer. */
export function connect(url: string, connections: number): Promise<Pool> {
  const types = new TypeOverrides()
  for (const type of numbers) types.setTypeParser(type, Number)
  return connectDatabase(url, { max: connections, connectionTimeoutMillis: 20_000, types })
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
