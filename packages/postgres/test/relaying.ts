/** An outbox on a database and a broker in memory, and what has come into the log there. */
import { after, afterEach, before } from 'node:test'
import type { PoolClient } from 'pg'
import { defineOperation, json, MessageHeaders, type Operation } from '@milena/request-reply'
import {
  createMemoryBroker,
  type MemoryBroker,
  type MemoryBrokerOptions,
} from '@milena/request-reply/testing'
import { migrate, postgresOutbox, type Outbox, type OutboxRelay, type RelayOptions } from '@milena/postgres'
import { openTestDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { waitFor } from '../../../test/support/wait-for.ts'

export interface Step {
  readonly account: string | null
  readonly step: number
}

export const move: Operation<Step, Step, void, void> = defineOperation({
  name: 'move',
  topic: 'moves',
  request: json<Step>(),
  key: (step) => step.account,
})

export interface Sent extends Step {
  readonly headers: MessageHeaders
}

export interface Relaying {
  readonly database: TestDatabase
  readonly outbox: Outbox
  readonly schema: string
  readonly broker: MemoryBroker
  /** What stands in the log, in its order. */
  readonly log: Sent[]
  /** Writes these in a transaction each, one after the other. */
  readonly write: (...steps: readonly Step[]) => Promise<void>
  /** Starts a relay on a pool of its own; `through`: another address of the database. */
  readonly relay: (options?: Partial<RelayOptions>, through?: string) => Promise<OutboxRelay>
  /** Resolves when nothing waits to be sent any more. */
  readonly drained: () => Promise<void>
}

let database: TestDatabase
const opened: { close(): Promise<void> }[] = []

export function useDatabase(): void {
  before(async () => void (database = await openTestDatabase()))
  after(async () => database.close())
  afterEach(async () => {
    for (const thing of opened.splice(0).toReversed()) await thing.close()
  })
}

let schemas = 0

export async function relaying(options: Partial<MemoryBrokerOptions> = {}): Promise<Relaying> {
  const schema = `case_${++schemas}`
  await migrate(database.pool, { schema })
  const broker = createMemoryBroker({
    topics: [
      { name: 'moves', partitions: 1 },
      { name: 'others', partitions: 1 },
    ],
    ...options,
  })
  const outbox = postgresOutbox({ pool: database.pool, schema })
  const log: Sent[] = []
  const reader = broker.connect()
  opened.push(reader)
  await reader.tail({
    topic: 'moves',
    partitions: 'all',
    from: 'earliest',
    onRecords: (records) => {
      for (const { value, headers } of records) {
        const step = JSON.parse(String(value)) as Step
        log.push({ ...step, headers: new MessageHeaders(headers.map(([n, v]) => [Buffer.from(n), v])) })
      }
    },
  })
  return {
    database,
    outbox,
    schema,
    broker,
    log,
    async write(...steps) {
      for (const step of steps) await transaction(database, (tx) => outbox.add(tx, move, step))
    },
    async relay(given = {}, through = database.url) {
      const transport = broker.connect()
      const pool = database.openPool({ application_name: 'relay', connectionString: through })
      const own = postgresOutbox({ pool, schema })
      const relay = own.relay({ transport, pollInterval: 50, ...given })
      opened.push(transport, relay)
      await relay.start()
      return relay
    },
    async drained() {
      await waitFor(async () => (await outbox.backlog()).pending === 0, { what: 'an empty outbox' })
    },
  }
}

export async function transaction<Result>(
  { pool }: TestDatabase,
  run: (tx: PoolClient) => Promise<Result>,
): Promise<Result> {
  const tx = await pool.connect()
  try {
    await tx.query('BEGIN')
    const result = await run(tx)
    await tx.query('COMMIT')
    return result
  } catch (error) {
    await tx.query('ROLLBACK')
    throw error
  } finally {
    tx.release()
  }
}

/** The steps of each account, each where it stood first. */
export function firsts(log: readonly Step[]): Map<string | null, number[]> {
  const found = new Map<string | null, number[]>()
  for (const { account, step } of log) {
    const steps = found.get(account) ?? []
    if (!steps.includes(step)) steps.push(step)
    found.set(account, steps)
  }
  return found
}

export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at)
}
