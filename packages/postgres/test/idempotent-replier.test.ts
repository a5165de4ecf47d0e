/** The idempotency middleware on PostgreSQL: a handler's work and the stored reply are one. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test, type TestContext } from 'node:test'
import {
  createReplier,
  deadLetter,
  deadLetters,
  defineOperation,
  fixed,
  idempotency,
  json,
  requestRecord,
  retry,
  string,
  type IncomingRecord,
} from '@milena/request-reply'
import { createMemoryBroker } from '@milena/request-reply/testing'
import { migrate, postgresIdempotency, postgresOutbox } from '@milena/postgres'
import { openTestDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { waitFor } from '../../../test/support/wait-for.ts'

let database: TestDatabase
before(async () => {
  database = await openTestDatabase()
  await migrate(database.pool)
  await database.pool.query('CREATE TABLE deposits (id text, amount integer)')
})
after(async () => database.close())

interface Deposit {
  readonly id: string
  readonly amount: number
}

const deposit = defineOperation({
  name: 'deposit',
  topic: 'deposits',
  request: json<Deposit>(),
  reply: json<{ readonly handling: number }>(),
  key: ({ id }) => id,
  idempotencyKey: ({ id }) => id,
})
const tell = defineOperation({ name: 'tell', topic: 'told', request: json<string>() })

async function depositing(t: TestContext, disturb: (handling: number) => Promise<void>) {
  const broker = createMemoryBroker({
    topics: [
      { name: 'deposits', partitions: 2 },
      { name: 'deposit-replies', partitions: 1 },
      { name: 'told', partitions: 1 },
    ],
  })
  const transport = broker.connect()
  t.after(() => transport.close())
  const pool = database.openPool({ application_name: 'replier' })
  const outbox = postgresOutbox({ pool })
  const store = postgresIdempotency({ pool })
  const replier = createReplier({
    transport,
    groupId: 'g',
    replyTopics: ['deposit-replies'],
    logger: { warn: () => undefined },
  })
  let handlings = 0
  replier.handle(
    deposit,
    async ({ id, amount }, { transaction }) => {
      const handling = ++handlings
      await transaction.query('INSERT INTO deposits VALUES ($1, $2)', [id, amount])
      await outbox.add(transaction, tell, id)
      await disturb(handling)
      return { handling }
    },
    { useRecords: [idempotency({ store, lease: 500 })] },
  )
  await replier.start()
  t.after(() => replier.close())
  const replies: IncomingRecord[] = []
  const onRecords = (records: readonly IncomingRecord[]): void => void replies.push(...records)
  await transport.tail({ topic: 'deposit-replies', partitions: 'all', from: 'earliest', onRecords })
  const send = async (value: Deposit): Promise<void> => {
    await transport.send(await requestRecord(deposit, value, { replyTo: { topic: 'deposit-replies' } }))
  }
  const effects = async (id: string): Promise<number[]> => {
    const counts = await database.pool.query<{ readonly n: number }>(
      `SELECT count(*)::integer AS n FROM deposits WHERE id = $1 UNION ALL
       SELECT count(*)::integer FROM milena_outbox WHERE topic = 'told' AND value = $2`,
      [id, JSON.stringify(id)],
    )
    return counts.rows.map(({ n }) => n)
  }
  return { send, replies, effects, replier }
}

test('a repeated request gets the first reply, and its work is there once', async (t) => {
  const { send, replies, effects } = await depositing(t, async () => undefined)
  const id = randomUUID()
  for (let each = 0; each < 3; each++) await send({ id, amount: 5 })
  await waitFor(() => replies.length === 3, { what: 'three replies' })
  assert.deepEqual(
    replies.map(({ value }) => String(value)),
    Array.from({ length: 3 }, () => '{"handling":1}'),
  )
  assert.deepEqual(await effects(id), [1, 1])
})

test('the database goes away while a handler works: what it did is undone, and done again once', async (t) => {
  const { send, replies, effects } = await depositing(t, async (handling) => {
    if (handling > 2) return
    await database.killConnections(`application_name = 'replier'`)
  })
  const id = randomUUID()
  await send({ id, amount: 5 })
  await waitFor(() => replies.length === 1, { what: 'the reply' })
  assert.equal(String(replies[0]!.value), '{"handling":3}')
  assert.deepEqual(await effects(id), [1, 1])
})

test('work that cannot be committed is the handler’s failure: its partition goes on, and what is wrong is said', async (t) => {
  await database.pool.query(`CREATE TABLE singles (id text PRIMARY KEY);
    CREATE TABLE owners (id text REFERENCES singles DEFERRABLE INITIALLY DEFERRED);
    INSERT INTO singles VALUES ('there')`)
  const broker = createMemoryBroker({ topics: [{ name: 'work', partitions: 1 }] })
  const transport = broker.connect()
  t.after(() => transport.close())
  const work = defineOperation({ name: 'work', topic: 'work', request: string(), key: (what) => what })
  await using replier = createReplier({ transport, groupId: 'w', createTopics: true, logger: { warn() {} } })
  const store = postgresIdempotency({ pool: database.openPool() })
  replier.handle(
    work,
    async (what, { transaction }) => {
      if (what === 'caught') await transaction.query(`INSERT INTO singles VALUES ('there')`).catch(() => {})
      if (what === 'deferred') await transaction.query(`INSERT INTO owners VALUES ('nobody')`)
      if (what === 'committed') await transaction.query('  Commit')
      if (what === 'saved') {
        await transaction.query('SAVEPOINT one')
        await transaction.query(`INSERT INTO singles VALUES ('there')`).catch(() => {})
        await transaction.query('rollback to one')
        await transaction.query(`INSERT INTO singles VALUES ('saved')`)
      }
    },
    { useRecords: [idempotency({ store }), deadLetter(), retry({ attempts: 2, backoff: fixed(1) })] },
  )
  await replier.start()
  for (const what of ['caught', 'deferred', 'committed', 'saved'])
    await transport.send(await requestRecord(work, what, { idempotencyKey: what }))
  await waitFor(() => broker.committed('w').some(({ offset }) => offset === 4), { what: 'all to end' })
  await using letters = deadLetters({ transport })
  const told = new Map<string, string>()
  for await (const { key, attempts, message } of letters.list({ topic: 'work' }))
    told.set(String(key), `${attempts}: ${message}`)
  assert.equal(told.size, 3)
  assert.match(
    told.get('caught')!,
    /2: what was done in context.transaction cannot be committed: .*aborted.*SAVEPOINT/,
  )
  assert.match(
    told.get('deferred')!,
    /2: what was done in context.transaction cannot be committed: .*foreign key/,
  )
  assert.match(told.get('committed')!, /2: the transaction of this request is ended by its outcome: throw/)
  const { rows } = await database.pool.query('SELECT id FROM singles ORDER BY id')
  assert.deepEqual(rows, [{ id: 'saved' }, { id: 'there' }])
})

test('a handler that does not end holds no connection, and no lock, when its replier is closed or its claim is lost', async (t) => {
  await database.pool.query('CREATE TABLE locked (id text PRIMARY KEY); INSERT INTO locked VALUES (1)')
  const broker = createMemoryBroker({ topics: [{ name: 'hung', partitions: 1 }] })
  const transport = broker.connect()
  t.after(() => transport.close())
  const hung = defineOperation({ name: 'hung', topic: 'hung', request: string() })
  const begun = Promise.withResolvers<void>()
  const start = async (groupId: string) => {
    const pool = database.openPool()
    const replier = createReplier({ transport, groupId, logger: { warn() {} } })
    const handled = idempotency({ store: postgresIdempotency({ pool }), lease: 300, scope: () => 'hung' })
    replier.handle(
      hung,
      async (_, { transaction }) => {
        await transaction.query('UPDATE locked SET id = id')
        begun.resolve()
        await new Promise(() => {})
      },
      { useRecords: [handled] },
    )
    await replier.start()
    return { pool, replier, handled }
  }
  const first = await start('h1')
  await transport.send(await requestRecord(hung, 'x', { idempotencyKey: 'x' }))
  await begun.promise
  const stolen = `UPDATE milena_idempotency SET token = nextval('milena_idempotency_token') WHERE key = 'x'`
  await database.pool.query(stolen)
  await waitFor(() => first.handled.stats().lost === 1, { what: 'the claim to be lost' })
  await database.pool.query(`SET lock_timeout = '10s'; UPDATE locked SET id = id; SET lock_timeout = 0`)
  await first.replier.close({ timeout: 0 })

  const second = await start('h2')
  await transport.send(await requestRecord(hung, 'y', { idempotencyKey: 'y' }))
  await waitFor(() => second.pool.totalCount > second.pool.idleCount, { what: 'it to begin' })
  await second.replier.close({ timeout: 0 })
  await Promise.race([
    second.pool.end(),
    new Promise((_, reject) =>
      setTimeout(() => reject(new Error('a connection is held still')), 10_000).unref(),
    ),
  ])
})

test('without transactions handlers are given none, and the reply is stored all the same', async () => {
  const store = postgresIdempotency({ pool: database.pool, transactions: false })
  assert.equal((store as { readonly begin?: unknown }).begin, undefined)
  const id = { scope: 's', key: randomUUID() }
  const claim = await store.claim(id, { fingerprint: 'a'.repeat(64), owner: 'o', lease: 1_000, ttl: 60_000 })
  assert.equal(claim.kind, 'claimed')
})
