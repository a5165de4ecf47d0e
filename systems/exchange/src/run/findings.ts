/** What a run has come to: read from the databases at its end, and held against what callers were told. */
import type { Pool } from 'pg'
import { connect } from '../database/connect.ts'
import type { DatabaseUrls } from '../database/databases.ts'
import { accountServices, type Currency } from '../operations.ts'
import type { ExchangeStatus } from '../schemas.ts'
import type { Answers } from './load.ts'

export interface Counted {
  readonly done: number
  readonly undone: number
  /** Of those undone, how many had moved money, which was moved back. */
  readonly compensated: number
  /** Still running, or being undone. */
  readonly halfDone: number
  /** Tries of HTTP calls and commands beyond the first. */
  readonly callRetries: number
  /** Tries of cancellations beyond the first, where they succeeded in the end. */
  readonly cancelRetries: number
}

export interface Money {
  readonly currency: Currency
  readonly customersBefore: number
  readonly customersAfter: number
  readonly bankBefore: number
  readonly bankAfter: number
}

export interface Findings {
  readonly counted: Counted
  readonly money: readonly Money[]
  /** Where callers were told something else than what is. */
  readonly problems: readonly string[]
}

export async function find(databases: DatabaseUrls, answers: Answers): Promise<Findings> {
  const exchange = await connect(databases.exchange, 1)
  const accounts = await Promise.all(accountServices.map((service) => connect(databases[service], 1)))
  try {
    const statuses = await statusesOf(exchange)
    const each = await Promise.all(accounts.map(cancellationsOf))
    const { rows } = await exchange.query<{ retries: number }>(
      'select coalesce(sum(retries), 0) as retries from exchanges',
    )
    const compensated = new Set(each.flatMap(({ undone }) => undone))
    const of = (...wanted: readonly ExchangeStatus[]): number =>
      [...statuses.values()].filter((status) => wanted.includes(status)).length
    return {
      counted: {
        done: of('COMPLETED'),
        undone: of('CANCELLED'),
        compensated: compensated.size,
        halfDone: of('RUNNING', 'COMPENSATING'),
        callRetries: rows[0]!.retries,
        cancelRetries: each.reduce((sum, { retries }) => sum + retries, 0),
      },
      money: (await Promise.all(accounts.map(moneyOf))).flat(),
      problems: problemsOfAnswers(answers, statuses),
    }
  } finally {
    await Promise.all([exchange, ...accounts].map((pool) => pool.end()))
  }
}

/** What callers were told must be so. */
export function problemsOfAnswers(
  { done, undone, unanswered }: Pick<Answers, 'done' | 'undone' | 'unanswered'>,
  statuses: ReadonlyMap<string, ExchangeStatus>,
): readonly string[] {
  const told = (ids: Iterable<string>, said: string, isSo: (status: ExchangeStatus | undefined) => boolean) =>
    [...ids]
      .filter((id) => !isSo(statuses.get(id)))
      .map((id) => `the caller of ${id} was told that it ${said}; it is ${statuses.get(id) ?? 'not there'}`)
  return [
    ...told(done, 'took place', (status) => status === 'COMPLETED'),
    ...told(undone, 'did not take place', (status) => status === 'COMPENSATING' || status === 'CANCELLED'),
    ...[...unanswered].map((id) => `the caller of ${id} was never answered`),
  ]
}

async function statusesOf(pool: Pool): Promise<Map<string, ExchangeStatus>> {
  const { rows } = await pool.query<{ id: string; status: ExchangeStatus }>(
    'select id, status from exchanges',
  )
  return new Map(rows.map(({ id, status }) => [id, status]))
}

async function cancellationsOf(
  pool: Pool,
): Promise<{ readonly undone: readonly string[]; readonly retries: number }> {
  const undone = await pool.query<{ id: string }>(
    `select distinct exchange_id as id from entries where entry = 'cancellation'`,
  )
  const { rows } = await pool.query<{ retries: number }>(
    'select coalesce(sum(greatest(0, cancel_tries - 1)), 0) as retries from movements',
  )
  return { undone: undone.rows.map(({ id }) => id), retries: rows[0]!.retries }
}

async function moneyOf(pool: Pool): Promise<readonly Money[]> {
  const { rows } = await pool.query<Money>(
    `select currency,
      sum(opening) filter (where owner <> 'bank') as "customersBefore",
      sum(balance) filter (where owner <> 'bank') as "customersAfter",
      sum(opening) filter (where owner = 'bank') as "bankBefore",
      sum(balance) filter (where owner = 'bank') as "bankAfter"
    from accounts group by currency order by currency`,
  )
  return rows
}
