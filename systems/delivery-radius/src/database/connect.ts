import { connectDatabase } from '@milena/hosting'
import { TypeOverrides, types, type Pool } from 'pg'

/** A pool of connections; rejects with a `StartError` when the database does not answer. */
export function connect(url: string, connections: number): Promise<Pool> {
  const overrides = new TypeOverrides()
  // Offsets, and numbers of rows: below 2^53.
  overrides.setTypeParser(types.builtins.INT8, Number)
  return connectDatabase(url, { max: connections, connectionTimeoutMillis: 20_000, types: overrides })
}
