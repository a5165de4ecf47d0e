/**
 * A distributed lock in Redis for each shop: `SET key token NX PX lease`, looked at again after a pause until the wait is
 * over; released by a script, by whoever has the token. One lock at a time, so that no two triggers wait for each other.
 */
import { isUndone } from '@milena/hosting'
import type { Redis } from 'ioredis'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'pg'
import { Counting } from './counting.ts'
import { redisLock } from './lock-options.ts'
import type { Asked, Result } from './result.ts'
import { change, columns, type ShopRow } from './shop-row.ts'

const release = `if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0`

export interface RedisLockOptions {
  /** Begins the locks' names. */
  readonly prefix: string
  /** Shops of one trigger that are changed at once. */
  readonly concurrency: number
}

export class RedisLocks {
  readonly counting = new Counting()
  readonly #redis: Redis
  readonly #pool: Pool
  readonly #options: RedisLockOptions

  constructor(redis: Redis, pool: Pool, options: RedisLockOptions) {
    this.#redis = redis
    this.#pool = pool
    this.#options = options
  }

  /** Each shop has an outcome of its own: the caller is told which have failed. */
  async carryOut(asked: Asked): Promise<Result> {
    const result: Record<keyof Result, string[]> = { made: [], refused: [], failed: [], unknown: [] }
    const left = asked.shops.values()
    const work = async (): Promise<void> => {
      for (const shop of left) {
        // oxlint-disable-next-line no-await-in-loop -- so many at once as there are workers
        const outcome = await this.#locked(shop, asked).catch(() => 'failed' as const)
        result[outcome].push(shop)
      }
    }
    await Promise.all(Array.from({ length: this.#options.concurrency }, work))
    return result
  }

  async #locked(shop: string, asked: Asked): Promise<keyof Result> {
    const key = `${this.#options.prefix}lock:${shop}`
    const token = randomUUID()
    if (!(await this.#acquire(key, token))) {
      this.counting.lockTimeouts++
      return 'failed'
    }
    try {
      return await this.#change(shop, asked)
    } finally {
      // If it cannot be released, it ends by itself.
      await this.#redis.eval(release, 1, key, token).catch(() => {})
    }
  }

  async #acquire(key: string, token: string): Promise<boolean> {
    const { lease, wait, pause } = redisLock
    const until = performance.now() + wait
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- asked again and again
      if ((await this.#redis.set(key, token, 'PX', lease, 'NX')) === 'OK') return true
      if (performance.now() >= until) return false
      // oxlint-disable-next-line no-await-in-loop
      await sleep(pause[0] + Math.random() * (pause[1] - pause[0]))
    }
  }

  async #change(shop: string, asked: Asked): Promise<keyof Result> {
    const { rows } = await this.#pool.query<ShopRow>(`select ${columns} from shops s where s.id = $1`, [shop])
    const outcome = change(rows[0]!, asked)
    if ('refused' in outcome) return 'refused'
    const { radius, active, changes } = outcome.row
    const update = this.#pool.query(
      `update shops set radius = $2, active = $3, changes = $4, applied_partition = 0, applied_offset = $5
       where id = $1`,
      [shop, radius, JSON.stringify(active), changes, asked.number],
    )
    return update.then(
      () => 'made',
      (error: unknown) => (isUndone(error) ? 'failed' : 'unknown'),
    )
  }
}
