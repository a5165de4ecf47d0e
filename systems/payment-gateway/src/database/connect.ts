import { DatabaseError, Pool, TypeOverrides } from 'pg'
import { messageOf, StartError } from '@milena/hosting'

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
export async function connect(url: string, prefix: string, connections: number): Promise<Pool> {
  if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url)) {
    throw new StartError(
      `DATABASE_URL must be postgres://user@host:port/database, not ${JSON.stringify(withoutPassword(url))}`,
    )
  }
  const types = new TypeOverrides()
  types.setTypeParser(bigint, Number)
  const pool = new Pool({
    connectionString: url,
    max: connections,
    connectionTimeoutMillis: 5_000,
    types,
    options: [...settings, ...(prefix === '' ? [] : [`search_path="${schemaOf(prefix)}"`])]
      .map((setting) => `-c ${setting}`)
      .join(' '),
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

/** Whether the server itself said no, such as to a wrong password or a value: then what was asked for has not happened. */
export function isRefusal(error: unknown): boolean {
  return error instanceof DatabaseError
}

export function schemaOf(prefix: string): string {
  return prefix === '' ? 'public' : prefix
}

export function withoutPassword(url: string): string {
  return url.replace(/\/\/([^:@/]*):[^@/]*@/, '//$1:***@')
}
