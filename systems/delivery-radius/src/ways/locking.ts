/** A way with locks: services that hold them, each a process of its own, and callers who wait for their answers. */
import { connectDatabase, JsonClient, SupervisedChild, type HttpAnswer } from '@milena/hosting'
import type { Pool } from 'pg'
import { createShops } from '../database/shops.ts'
import type { Trigger } from '../run/storm.ts'
import { connectionWait } from './lock-options.ts'
import type { LockServiceConfig, LockServiceFacts } from './lock-service.ts'
import type { Result } from './result.ts'
import type { Counters, Told, Way, WayName } from './way.ts'

const entry = new URL('lock-service.ts', import.meta.url)
/** Milliseconds that a caller waits: longer than any service takes to give up. */
const patience = 120_000

const kinds = {
  'row locks': 'row-locks',
  'row locks, ids sorted': 'sorted-row-locks',
  'Redis lock': 'redis-lock',
} as const

export interface LockingOptions {
  readonly databaseUrl: string
  readonly schema: string
  readonly services: number
  /** Connections to the database of all services together. */
  readonly connections: number
  readonly redisUrl?: string | undefined
  readonly prefix: string
  readonly log: (line: string) => void
}

export class Locking implements Way {
  readonly name: Exclude<WayName, 'request-reply'>
  readonly #options: LockingOptions
  readonly #services: SupervisedChild[] = []
  readonly #clients: JsonClient[] = []
  readonly #told = new Map<number, Told>()

  constructor(name: Exclude<WayName, 'request-reply'>, options: LockingOptions) {
    this.name = name
    this.#options = options
  }

  async start(): Promise<void> {
    const { databaseUrl, schema, services, connections, redisUrl, prefix, log } = this.#options
    const config: LockServiceConfig = {
      kind: kinds[this.name],
      databaseUrl,
      schema,
      connections: Math.max(1, Math.floor(connections / services)),
      redisUrl,
      prefix,
    }
    for (let number = 1; number <= services; number++) {
      const spec = { name: `${config.kind}-${number}`, entry, config }
      this.#services.push(new SupervisedChild(spec, { restart: false, onChange: () => {}, log }))
    }
    await Promise.all(this.#services.map((service) => service.start()))
    for (const { facts } of this.#services)
      this.#clients.push(new JsonClient((facts as LockServiceFacts).url, 256))
  }

  async fire({ number, requester, kind, action, shops }: Trigger): Promise<void> {
    const body = { number, kind, action, shops }
    const call = { method: 'POST', path: '/triggers', body, timeout: patience + connectionWait } as const
    const answer = await this.#clients[requester]!.call(call).catch(() => undefined)
    this.#told.set(number, toTold(answer, shops))
  }

  async told(): Promise<ReadonlyMap<number, Told>> {
    return this.#told
  }

  async counters(): Promise<Counters> {
    const all = await Promise.all(
      this.#clients.map((client) => client.call({ method: 'GET', path: '/stats', timeout: 10_000 })),
    )
    const sum = (name: keyof Counters): number =>
      all.reduce((total, { body }) => total + (body as Counters)[name], 0)
    return { deadlocks: sum('deadlocks'), lockTimeouts: sum('lockTimeouts') }
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close()
    await Promise.all(this.#services.map((service) => service.stop()))
  }
}

function toTold(answer: HttpAnswer | undefined, shops: readonly string[]): Told {
  if (answer?.status === 200) return answer.body as Result
  // A 503 says that nothing was done; with a 504, or without an answer, nobody knows.
  if (answer?.status === 503) return { made: [], refused: [], failed: shops, unknown: [] }
  return { made: [], refused: [], failed: [], unknown: shops }
}

/** The system's own table once more, in a schema of its own, with as many shops. */
export async function createTable(
  pool: Pool,
  databaseUrl: string,
  schema: string,
  shops: number,
): Promise<void> {
  // `like` leaves out how full a page may be.
  await pool.query(
    `create schema ${schema}; create table ${schema}.shops (like public.shops including all) with (fillfactor = 50)`,
  )
  const within = await connectDatabase(databaseUrl, { max: 1, options: `-c search_path=${schema}` })
  try {
    await createShops(within, shops)
  } finally {
    await within.end()
  }
}
