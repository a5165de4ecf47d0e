/** The storm, one way after the other: the same triggers at the same times, on shops of their own each time. */
import type { Pool } from 'pg'
import { readTopic } from '../model/read-topic.ts'
import type { RunOptions } from '../options.ts'
import type { DeliverySystem } from '../system.ts'
import { createTable, Locking } from '../ways/locking.ts'
import { RequestReply } from '../ways/request-reply.ts'
import type { Counters, Way, WayName } from '../ways/way.ts'
import { endHistory, keepHistory, readHistory, type HistoryRow } from './history.ts'
import { createStorm, type Trigger } from './storm.ts'
import { judge, type Made, type Verdict } from './verdict.ts'
import { weather, type Weathered } from './weather.ts'

export interface WayOutcome extends Verdict, Counters, Weathered {
  readonly way: WayName
}

export interface StormParts {
  readonly system: DeliverySystem
  readonly pool: Pool
  readonly options: RunOptions
  readonly redisUrl: string | undefined
  readonly show: (step: string, detail?: string) => void
  readonly log: (line: string) => void
}

const schemas = {
  'row locks': 'row_locks',
  'row locks, ids sorted': 'sorted_row_locks',
  'Redis lock': 'redis_lock',
} as const

export async function stormAll(parts: StormParts): Promise<readonly WayOutcome[]> {
  const { storm: triggers, rate, wave, hot, each, seed, requesters, alone } = parts.options
  if (triggers === 0) return []
  const storm = createStorm({ seed, triggers, rate, wave, requesters, shops: hot, each })
  const outcomes: WayOutcome[] = []
  for (const way of ['row locks', 'row locks, ids sorted', 'Redis lock'] as const)
    if (!alone && (way !== 'Redis lock' || parts.redisUrl !== undefined))
      // oxlint-disable-next-line no-await-in-loop -- one at a time has the machine
      outcomes.push(await withLocks(way, storm, parts))
  outcomes.push(await withRequestReply(storm, parts))
  return outcomes
}

async function withLocks(
  name: keyof typeof schemas,
  storm: readonly Trigger[],
  { system, pool, options, redisUrl, show, log }: StormParts,
): Promise<WayOutcome> {
  show(`the storm: ${name}`, ': making shops')
  const way = new Locking(name, {
    databaseUrl: system.databaseUrl,
    schema: schemas[name],
    services: options.requesters,
    connections: options.connections,
    redisUrl: name === 'Redis lock' ? redisUrl : undefined,
    prefix: options.prefix,
    log,
  })
  try {
    await createTable(pool, system.databaseUrl, schemas[name], options.shops)
    await keepHistory(pool, schemas[name])
    await way.start()
    const weathered = await fireAll(way, storm, show)
    const history = await readHistory(pool, schemas[name])
    const made = history.map(({ shop, offset, overwrote }) => ({
      shop,
      number: offset,
      // Those of a wave have no order.
      accepted: storm[offset - 1]!.at,
      overwrote,
    }))
    return await sum(way, storm, weathered, made)
  } finally {
    await way.close()
  }
}

async function withRequestReply(
  storm: readonly Trigger[],
  { system, pool, show }: StormParts,
): Promise<WayOutcome> {
  const way = new RequestReply(system.requesters)
  try {
    await keepHistory(pool, 'public')
    const weathered = await fireAll(way, storm, show)
    await endHistory(pool, 'public')
    return await sum(way, storm, weathered, await madeOf(system, way, await readHistory(pool, 'public')))
  } finally {
    way.close()
  }
}

/** Which trigger a change was of stands in the log, where it was made from. */
async function madeOf(
  { brokers, topics }: DeliverySystem,
  way: RequestReply,
  history: readonly HistoryRow[],
): Promise<readonly Made[]> {
  const numbers = new Map<string, number>()
  await readTopic(brokers, topics.topic, ({ partition, offset, id }) => {
    const trigger = way.triggerOf(id)
    if (trigger !== undefined) numbers.set(`${partition}:${offset}`, trigger.number)
  })
  return history.map(({ shop, partition, offset, overwrote }) => ({
    shop,
    number: numbers.get(`${partition}:${offset}`) ?? 0,
    accepted: offset,
    overwrote,
  }))
}

function fireAll(way: Way, storm: readonly Trigger[], show: StormParts['show']): Promise<Weathered> {
  return weather(way, storm, (fired, ended) =>
    show(`the storm: ${way.name}`, `: ${fired} of ${storm.length} triggers fired, ${ended} ended`),
  )
}

async function sum(
  way: Way,
  storm: readonly Trigger[],
  weathered: Weathered,
  made: readonly Made[],
): Promise<WayOutcome> {
  const counters = await way.counters()
  return { way: way.name, ...weathered, ...counters, ...judge(storm, await way.told(), made) }
}
