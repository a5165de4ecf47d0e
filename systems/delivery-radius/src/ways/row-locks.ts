/**
 * Row locks in the database: a trigger is a transaction that locks its shops in the order in which the trigger names
 * them, changes them, and commits. Two statements for all of them: locks are held as briefly as this way allows.
 */
import { inTransaction } from '@milena/hosting'
import type { Pool, PoolClient } from 'pg'
import { setTimeout as sleep } from 'node:timers/promises'
import { Counting } from './counting.ts'
import { pauseBefore, tries } from './lock-options.ts'
import { change, columns, type ShopRow } from './shop-row.ts'
import type { Asked, Result } from './result.ts'

/** What PostgreSQL says of a deadlock, of `lock_timeout`, and of what may simply be tried again. */
const deadlock = '40P01'
const lockTimeout = '55P03'

export interface RowLockOptions {
  /** Whether it locks them in the order of their ids instead, so that no two wait for each other. */
  readonly sorted: boolean
  /** Milliseconds that it waits for a lock: `lock_timeout`. */
  readonly lockTimeout: number
}

export class RowLocks {
  readonly counting = new Counting()
  readonly #pool: Pool
  readonly #options: RowLockOptions

  constructor(pool: Pool, options: RowLockOptions) {
    this.#pool = pool
    this.#options = options
  }

  /** Tries again after a deadlock and after a wait that was too long; rejects when the last try has failed too. */
  async carryOut(asked: Asked): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one try after the other
        return await this.#try(asked)
      } catch (error) {
        const code = (error as { code?: unknown }).code
        if (code === deadlock) this.counting.deadlocks++
        else if (code === lockTimeout) this.counting.lockTimeouts++
        else throw error
        if (attempt === tries) throw error
        // oxlint-disable-next-line no-await-in-loop
        await sleep(pauseBefore(attempt))
      }
    }
  }

  #try(asked: Asked): Promise<Result> {
    return inTransaction(this.#pool, async (tx) => {
      await tx.query(`set local lock_timeout = ${this.#options.lockTimeout}`)
      return this.#change(tx, asked)
    })
  }

  async #change(tx: PoolClient, asked: Asked): Promise<Result> {
    const ids = this.#options.sorted ? asked.shops.toSorted() : asked.shops
    // PostgreSQL locks after it has sorted, so in this order.
    const { rows } = await tx.query<ShopRow>(
      `select ${columns} from unnest($1::text[]) with ordinality as named(id, place)
       join shops s on s.id = named.id order by named.place for update of s`,
      [ids],
    )
    const changed: ShopRow[] = []
    const refused: string[] = []
    for (const row of rows) {
      const outcome = change(row, asked)
      if ('row' in outcome) changed.push(outcome.row)
      else refused.push(row.id)
    }
    await tx.query(
      `update shops s set radius = n.radius, active = n.active::jsonb, changes = n.changes,
         applied_partition = 0, applied_offset = $5
       from unnest($1::text[], $2::int[], $3::text[], $4::int[]) as n(id, radius, active, changes)
       where s.id = n.id`,
      [
        changed.map(({ id }) => id),
        changed.map(({ radius }) => radius),
        changed.map(({ active }) => JSON.stringify(active)),
        changed.map(({ changes }) => changes),
        asked.number,
      ],
    )
    return { made: changed.map(({ id }) => id), refused, failed: [], unknown: [] }
  }
}
