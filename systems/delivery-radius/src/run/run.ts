/** One run: the storm each way, the triggers over all shops, and the check against the model. */
import type { Pool } from 'pg'
import type { RunOptions } from '../options.ts'
import type { DeliverySystem } from '../system.ts'
import { findRedis } from '../ways/redis.ts'
import { check } from './checking.ts'
import { changeAll, type Everywhere } from './everywhere.ts'
import type { Outcome } from './outcome.ts'
import { stormAll, type WayOutcome } from './storming.ts'

export interface RunParts {
  readonly system: DeliverySystem
  /** On the system's database. */
  readonly pool: Pool
  readonly options: RunOptions
  /** Brokers that are not ours. */
  readonly brokers: string | undefined
  readonly show: (step: string, detail?: string) => void
  readonly log: (line: string) => void
}

export async function run({ system, pool, options, brokers, show, log }: RunParts): Promise<Outcome> {
  const redis = options.storm === 0 || options.alone ? undefined : await findRedis(log)
  try {
    const ways = await stormAll({ system, pool, options, redisUrl: redis?.url, show, log })
    const everywhere = options.triggers === 0 ? undefined : await changeAll(system, options, brokers, show)
    show('reading the log from its beginning, and every shop')
    const checked = await check(system, pool, toldMade(ways, everywhere))
    return { ways, everywhere, checked }
  } finally {
    await redis?.close()
  }
}

/** Changes of which request-reply's callers were told that they were made. */
function toldMade(ways: readonly WayOutcome[], everywhere: Everywhere | undefined): number {
  const ours = ways.find(({ way }) => way === 'request-reply')
  const inStorm = ours === undefined ? 0 : ours.fired - ours.refused - ours.failedTold - ours.untold
  return (everywhere?.triggers ?? []).reduce((sum, { done }) => sum + done, inStorm)
}
