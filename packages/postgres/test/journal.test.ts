/** The journal in PostgreSQL, by the contract of all journals, and what is its own. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { postgresJournal } from '@milena/postgres'
import { createMemoryBroker } from '@milena/request-reply/testing'
import { migrate } from '../src/migrate.ts'
import { entry, ids, opened, testJournal, unfinished } from '../../request-reply/test/journal-contract.ts'
import { finishesWhatADeadInstanceHadAccepted } from '../../request-reply/test/journal-case-contract.ts'
import { openTestDatabase, type TestDatabase } from '../../../test/support/database.ts'

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
  const dying = await opened(postgresJournal({ pool, schema, lease: 900 }))
  await dying.journal.append(entry())
  // Nothing of it reaches the database any more.
  pool.query = () => Promise.reject(new Error('dead')) as never
  const began = performance.now()
  await using next = await opened(postgresJournal({ pool: database.pool, schema, lease: 900 }))
  assert.ok(performance.now() - began > 300, `${performance.now() - began} ms`)
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
  away = false
  await first.journal.append(three)
  assert.equal(first.journal.stats().trouble, undefined)
  await first.journal.close()
  await using next = await opened(postgresJournal({ pool: database.pool, schema }))
  assert.deepEqual(ids(await unfinished(next.journal)), ids([three]))
})

test('tables that are not there are an error that names the migration', async () => {
  await assert.rejects(opened(postgresJournal({ pool: database.pool, schema: 'nowhere' })), {
    code: 'MILENA_NOT_MIGRATED',
  })
})
