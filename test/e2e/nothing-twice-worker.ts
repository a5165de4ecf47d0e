/**
 * A replier with everything that keeps work from being lost or done twice, in a process of its own, for
 * `nothing-twice.test.ts`. It kills itself, with SIGKILL, at random places between its steps, until there were enough deaths;
 * its parent starts the next one.
 */
import {
  createReplier,
  deadLetter,
  defineOperation,
  fixed,
  idempotency,
  json,
  openKafka,
  retry,
  retryTopics,
  type Transport,
} from '@milena/request-reply'
import { migrate, postgresIdempotency } from '@milena/postgres'
import { Pool } from 'pg'
import { FaultyStore } from '../../packages/request-reply/test/idempotency-faults.ts'

export interface WorkerOptions {
  readonly brokers: readonly string[]
  readonly topic: string
  readonly replies: string
  readonly databaseUrl: string
  readonly sessionTimeout: number
  readonly instance: string
  /** How many deaths there are, of all workers together. */
  readonly deaths: number
  /** How likely one is at each place; ten times as likely at those that requests seldom come to. */
  readonly chance: number
}

export interface Order {
  readonly order: string
  /** How often its handler fails; −1: until `healed`. */
  readonly fails: number
}

export const tables = `
  CREATE TABLE effects (what text, at timestamptz DEFAULT clock_timestamp());
  CREATE TABLE tries (what text, at timestamptz DEFAULT clock_timestamp());
  CREATE TABLE deaths (place text);
  CREATE TABLE healed (at timestamptz);
`

const rare = /-dlt|-retry-|complete|commit|renew/

if (process.argv[2] !== undefined) await work(JSON.parse(process.argv[2]) as WorkerOptions)

async function work(options: WorkerOptions): Promise<void> {
  process.on('disconnect', () => process.exit(1))
  const pool = new Pool({ connectionString: options.databaseUrl, max: 20 })
  await migrate(pool)
  const { topic, replies, sessionTimeout, chance } = options

  const maybeDie = async (place: string): Promise<void> => {
    if (Math.random() >= (rare.test(place) ? 10 * chance : chance)) return
    const { rowCount } = await pool.query(
      'INSERT INTO deaths SELECT $1 WHERE (SELECT count(*) FROM deaths) < $2',
      [place, options.deaths],
    )
    if (rowCount === 1) process.kill(process.pid, 'SIGKILL')
  }
  const store = new FaultyStore(postgresIdempotency({ pool }))
  store.fault = (step, when) => maybeDie(`${when} ${step}`)

  const replier = createReplier({
    transport: deadly(await openKafka({ brokers: [...options.brokers] }), maybeDie),
    groupId: topic,
    groupInstanceId: options.instance,
    replyTopics: [replies],
    sessionTimeout,
    heartbeatInterval: 300,
    commitInterval: 50,
    concurrency: 16,
    createTopics: true,
    logger: { warn() {} },
  })
  const operation = defineOperation({ name: 'work', topic, request: json<Order>(), reply: json<string>() })
  replier.handle(
    operation,
    async ({ order, fails }, { transaction }) => {
      await pool.query('INSERT INTO tries (what) VALUES ($1)', [order])
      await maybeDie('before effect')
      await transaction.query('INSERT INTO effects (what) VALUES ($1)', [order])
      await maybeDie('after effect')
      const { rows } = await pool.query<{ readonly tries: number; readonly healed: boolean }>(
        'SELECT count(*)::int AS tries, EXISTS (SELECT FROM healed) AS healed FROM tries WHERE what = $1',
        [order],
      )
      const { tries, healed } = rows[0]!
      if (fails < 0 ? !healed : tries <= fails) throw new Error(`not yet: ${order}`)
      return order
    },
    {
      useRecords: [
        idempotency({ store, lease: 1_000 }),
        deadLetter(),
        retryTopics({ delays: [100, 300] }),
        retry({ attempts: 2, backoff: fixed(50) }),
      ],
      beforeFinish: () => maybeDie('after reply'),
    },
  )
  await replier.start()
}

/** Dies around what it sends: replies, retries, letters. */
function deadly(transport: Transport, maybeDie: (place: string) => Promise<void>): Transport {
  return new Proxy(transport, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      if (name !== 'send') return value.bind(target) as unknown
      return async (record: Parameters<Transport['send']>[0]) => {
        const what = /-retry-|-dlt/.exec(record.topic)?.[0] ?? 'reply'
        await maybeDie(`before ${what}`)
        const position = await target.send(record)
        await maybeDie(`after ${what}`)
        return position
      }
    },
  })
}
