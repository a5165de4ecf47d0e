/**
 * A replier in a process of its own, for `idempotency.test.ts`. It kills itself, with SIGKILL, at the place that an order
 * names (`orderFor`), unless a worker has died there before; its parent starts the next one.
 */
import { createReplier, defineOperation, idempotency, openKafka, string } from '@milena/request-reply'
import { migrate, postgresIdempotency } from '@milena/postgres'
import { Pool } from 'pg'
import { FaultyStore, type StoreStep } from '../../packages/request-reply/test/idempotency-faults.ts'

export interface WorkerOptions {
  readonly brokers: readonly string[]
  readonly groupId: string
  readonly topic: string
  readonly replies: string
  readonly databaseUrl: string
  readonly sessionTimeout: number
}

/** Where a worker dies: around each step of the store, in the handler, and before and behind the reply. */
export const places = [
  'before claim',
  'after claim',
  'before effect',
  'after effect',
  'before commit',
  'after commit',
  'before reply',
  'after reply',
] as const

/** An order at whose place the worker dies. Each attempt is an order of its own: of one, a step may have been done before another death. */
export function orderFor(place: string, attempt: number): string {
  return `${place}, attempt ${attempt}`
}

export const tables = `
  CREATE TABLE effects (what text, at timestamptz DEFAULT now());
  CREATE TABLE deaths (place text PRIMARY KEY);
`

if (process.argv[2] !== undefined) await work(JSON.parse(process.argv[2]) as WorkerOptions)

async function work(options: WorkerOptions): Promise<void> {
  process.on('disconnect', () => process.exit(1))
  const pool = new Pool({ connectionString: options.databaseUrl, max: 40 })
  await migrate(pool)
  /** Once in the life of the database. */
  const dieAt = async (place: string, order: string): Promise<void> => {
    if (!order.startsWith(`${place}, `)) return
    const { rowCount } = await pool.query('INSERT INTO deaths VALUES ($1) ON CONFLICT DO NOTHING', [place])
    if (rowCount === 1) process.kill(process.pid, 'SIGKILL')
  }
  const store = new FaultyStore(postgresIdempotency({ pool }))
  store.fault = (step: StoreStep, when, key) => dieAt(`${when} ${step}`, key)

  const transport = await openKafka({ brokers: [...options.brokers] })
  const { groupId, topic, replies, sessionTimeout } = options
  const replier = createReplier({
    transport,
    groupId,
    groupInstanceId: 'worker',
    replyTopics: [replies],
    sessionTimeout,
    heartbeatInterval: 300,
    concurrency: 16,
  })
  const work = defineOperation({ name: 'work', topic, request: string(), reply: string() })
  replier.useRecords(async ({ value }, next) => {
    const outcome = await next()
    await dieAt('before reply', String(value))
    return outcome
  })
  replier.handle(
    work,
    async (order, { transaction }) => {
      await dieAt('before effect', order)
      await transaction.query('INSERT INTO effects (what) VALUES ($1)', [order])
      await dieAt('after effect', order)
      return `done: ${order}`
    },
    {
      useRecords: [idempotency({ store, lease: 1_000 })],
      beforeFinish: ({ record }) => dieAt('after reply', String(record?.value)),
    },
  )
  await replier.start()
}
