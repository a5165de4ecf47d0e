import type { Pool, PoolClient } from 'pg'
import { isAway } from './away.ts'

/**
 * Runs this in a transaction, which is rolled back when it throws.
 *
 * @param begin the statement that begins it, such as one with an isolation level
 */
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
    // One that hangs would not answer this either; a connection that is cut rolls back by itself.
    if (error instanceof Error && isAway(error)) broken = error
    else await tx.query('rollback').catch((failed: Error) => (broken = failed))
    throw error
  } finally {
    tx.off('error', onError)
    tx.release(broken)
  }
}
