/** Reads what the auditor looks at; the books of one service as they stood at one moment. */
import { inTransaction } from '@milena/hosting'
import type { Pool } from 'pg'
import { bank } from '../account/ledger.ts'
import type { AccountService } from '../operations.ts'
import type { Books, Effect, ExchangeRow } from './conservation.ts'

/** One snapshot for all statements of a transaction. */
const snapshot = 'begin isolation level repeatable read read only'
/** What is wrong is told up to so many. */
const most = 20

export function readBooks(pool: Pool, service: AccountService): Promise<Books> {
  return inTransaction(
    pool,
    async (tx) => {
      const totals = await tx.query<Books['totals'][number]>(
        `select currency, sum(opening) as opening, sum(balance) as balance
        from accounts group by currency order by currency`,
      )
      const unbalanced = await tx.query<Books['unbalanced'][number]>(
        `select exchange_id as "exchangeId", kind, entry, sum(amount) as sum, count(*)::integer as entries
        from entries group by exchange_id, kind, entry
        having sum(amount) <> 0 or count(*) <> 2 or count(distinct currency) <> 1 limit ${most}`,
      )
      const misstated = await tx.query<Books['misstated'][number]>(
        `select owner, currency, balance, opening + coalesce(changed, 0) as expected from accounts
        left join (select owner, currency, sum(amount) as changed from entries group by owner, currency) as of
        using (owner, currency) where balance <> opening + coalesce(changed, 0) limit ${most}`,
      )
      return { service, totals: totals.rows, unbalanced: unbalanced.rows, misstated: misstated.rows }
    },
    snapshot,
  )
}

export async function readEffects(pool: Pool): Promise<readonly Effect[]> {
  const { rows } = await pool.query<Effect>(
    `select exchange_id as "exchangeId", owner as "customerId", currency, sum(amount) as amount
    from entries where owner <> $1 group by exchange_id, owner, currency having sum(amount) <> 0`,
    [bank],
  )
  return rows
}

export async function readExchanges(pool: Pool): Promise<readonly ExchangeRow[]> {
  const { rows } = await pool.query<ExchangeRow>(
    `select id, direction, customer_id as "customerId", currency, amount, krw_amount as "krwAmount", status
    from exchanges order by id`,
  )
  return rows
}
