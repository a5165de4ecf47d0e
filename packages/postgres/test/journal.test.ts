/** The journal in PostgreSQL, by the contract of all journals, and what is its own. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { postgresJournal } from '@milena/postgres'
import { createMemoryBroker } from '@milena/request-reply/testing'
import { migrate } from '../src/migrate.ts'
import { entry, ids, opened, testJournal, unfinished } from '../../request-reply/test/journal-contract.ts'
import { finishesWhatADeadInstanceHadAccepted } from '../../request-reply/test/journal-case-contract.ts'
import { openTestDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { waitFor } from '../../../test/support/wait-for.ts'

let database: TestDatabase
before(async () => {
  database = await openTestDatabase()
  await migrate(database.pool)
})
after(() => database.close())

let number = 0

/** A schema of its own for each test. */
async function ownSchema(): Promise<string> {
  const schema = `journal_${++number}`
  await migrate(database.pool, { schema })
  return schema
}

testJournal('PostgreSQL', async () => {
  const schema = await ownSchema()
  return {
    store: postgresJournal({ pool: database.pool, schema, lease: 600 }),
    abandon: (instanceId) => abandon(schema, instanceId),
  }
})

/** Whatever it renews. */
async function abandon(schema: string, instanceId: string): Promise<void> {
  await database.pool.query(
    `UPDATE ${schema}.milena_journal_owners SET released = true WHERE instance_id = $1`,
    [instanceId],
  )
}

test('a journal in PostgreSQL finishes what a dead instance had accepted', async () => {
  const schema = await ownSchema()
  const broker = createMemoryBroker({
    topics: [
      { name: 'work_request', partitions: 2 },
      { name: 'work_reply', partitions: 3 },
    ],
  })
  await finishesWhatADeadInstanceHadAccepted({
    requests: 'work_request',
    replies: 'work_reply',
    store: postgresJournal({ pool: database.pool, schema }),
    abandon: (instanceId) => abandon(schema, instanceId),
    connect: async () => {
      const transport = broker.connect()
      return { transport, die: () => transport.kill() }
    },
  })
})

test('a process that was killed is taken for dead when its lease has ended, not before', async () => {
  const schema = await ownSchema()
  const pool = database.openPool()
  // It cannot have ended sooner than this and the lease, however slow everything is.
  const began = performance.now()
  const dying = await opened(postgresJournal({ pool, schema, lease: 900 }))
  await dying.journal.append(entry())
  // Nothing of it reaches the database any more.
  pool.query = () => Promise.reject(new Error('dead')) as never
  await using next = await opened(postgresJournal({ pool: database.pool, schema, lease: 900 }))
  assert.ok(performance.now() - began > 890, `${performance.now() - began} ms`)
  assert.equal((await unfinished(next.journal)).length, 1)
  await dying.journal.close().catch(() => undefined)
})

test('while the database is away nothing is written, and that is told; what is finished then is finished later', async () => {
  const schema = await ownSchema()
  const pool = database.openPool()
  const store = postgresJournal({ pool, schema, timeout: 200 })
  await using first = await opened(store)
  const [one, two, three] = [entry(), entry(), entry()]
  await first.journal.append(one)
  const query = pool.query.bind(pool) as (...given: never[]) => unknown
  let away = true
  const hanging: (() => void)[] = []
  pool.query = ((...given: never[]) =>
    away ? new Promise<void>((resolve) => hanging.push(resolve)) : query(...given)) as never
  first.journal.finish(one.correlationId)
  await assert.rejects(first.journal.append(two), { code: 'MILENA_JOURNAL_FAILED' })
  assert.match(first.journal.stats().trouble!.error.message, /not answered within 200 ms/)
  await assert.rejects(first.journal.read([one.correlationId]), /not answered within 200 ms/)
  away = false
  await first.journal.append(three)
  assert.equal(first.journal.stats().trouble, undefined)
  await first.journal.close()
  await using next = await opened(postgresJournal({ pool: database.pool, schema }))
  assert.deepEqual(ids(await unfinished(next.journal)), ids([three]))
})

test('a database that is away is told though nobody asks for anything, and so is its return', async () => {
  const schema = await ownSchema()
  const pool = database.openPool()
  await using idle = await opened(postgresJournal({ pool, schema, lease: 300 }))
  const query = pool.query.bind(pool)
  pool.query = () => Promise.reject(new Error('connect ECONNREFUSED')) as never
  await waitFor(() => idle.journal.stats().trouble !== undefined, { what: 'the trouble' })
  assert.match(idle.journal.stats().trouble!.error.message, /ECONNREFUSED/)
  pool.query = query
  await waitFor(() => idle.journal.stats().trouble === undefined, { what: 'the end of the trouble' })
})

test('that signs of life can be given says nothing of entries that cannot be written', async () => {
  const schema = await ownSchema()
  const pool = database.openPool()
  await using full = await opened(postgresJournal({ pool, schema, lease: 300 }))
  const query = pool.query.bind(pool)
  let signs = 0
  pool.query = ((text: string, ...rest: never[]) => {
    if (text.includes('INSERT')) return Promise.reject(new Error('no space left'))
    signs++
    return query(text, ...rest)
  }) as never
  await assert.rejects(full.journal.append(entry()), { code: 'MILENA_JOURNAL_FAILED' })
  const before = signs
  await waitFor(() => signs > before + 2, { what: 'signs of life' })
  assert.match(full.journal.stats().trouble!.error.message, /no space left/)
})

test('what cannot be written while the database is away does not gather without end', async () => {
  const schema = await ownSchema()
  const pool = database.openPool()
  await using first = await opened(postgresJournal({ pool, schema }))
  const query = pool.query.bind(pool)
  pool.query = () => Promise.reject(new Error('connect ECONNREFUSED')) as never
  const id = entry().correlationId
  const before = process.memoryUsage().heapUsed
  for (let n = 0; n < 1_000_000; n++) first.journal.finish(id)
  const grown = (process.memoryUsage().heapUsed - before) / 1_048_576
  pool.query = query
  assert.ok(grown < 32, `${grown} MiB`)
})

test('tables that are not there are an error that names the migration', async () => {
  await assert.rejects(opened(postgresJournal({ pool: database.pool, schema: 'nowhere' })), {
    code: 'MILENA_NOT_MIGRATED',
  })
})
