import { connectDatabase } from '@milena/hosting'
import { TypeOverrides, type Pool } from 'pg'

/** PostgreSQL's types `bigint` and `numeric`. Amounts are bounded so that all that there are add up below 2^53. */
const numbers = [20, 1700]

/** A pool of connections; rejects with a `StartError` when the database does not answer. */
export function connect(url: string, connections: number): Promise<Pool> {
  const types = new TypeOverrides()
  for (const type of numbers) types.setTypeParser(type, Number)
  return connectDatabase(url, { max: connections, connectionTimeoutMillis: 20_000, types })
}
