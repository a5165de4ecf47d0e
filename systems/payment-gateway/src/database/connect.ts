import { connectDatabase } from '@milena/hosting'
import { TypeOverrides, type Pool } from 'pg'

/** PostgreSQL's type `bigint`. Amounts are bounded far below 2^53. */
const bigint = 20

/**
 * Every statement finds its rows by an index, one after the other. Left alone, the planner would keep for a prepared
 * statement the plan that is best while the tables are empty, which is to read all of them. And a bitmap scan never
 * tells an index which of its entries are dead: looking for unsettled payments would take longer with every payment
 * settled since the last vacuum.
 */
const settings = ['seqscan', 'hashjoin', 'mergejoin', 'bitmapscan'].map((plan) => `enable_${plan}=off`)

/**
 * A pool of connections; rejects with a `StartError` when the database does not answer. With a prefix the tables are
 * in a schema of that name, so that several systems can share a database.
 */
export function connect(url: string, prefix: string, connections: number): Promise<Pool> {
  const types = new TypeOverrides()
  types.setTypeParser(bigint, Number)
  return connectDatabase(url, {
    max: connections,
    query_timeout: 5_000,
    types,
    options: [...settings, ...(prefix === '' ? [] : [`search_path="${schemaOf(prefix)}"`])]
      .map((setting) => `-c ${setting}`)
      .join(' '),
  })
}

export function schemaOf(prefix: string): string {
  return prefix === '' ? 'public' : prefix
}
