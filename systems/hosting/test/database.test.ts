/** Databases that are there and say nothing. */
import { connectDatabase, createApp, findFreePort, inTransaction, isAway, isUndone } from '@milena/hosting'
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Client, Pool } from 'pg'
import { openTestDatabase, type TestDatabase } from '../../../test/support/database.ts'

let database: TestDatabase
let pool: Pool
before(async () => {
  database = await openTestDatabase()
  pool = await connectDatabase(database.url, { max: 1, query_timeout: 200, connectionTimeoutMillis: 200 })
})
after(async () => {
  await pool.end()
  await database.close()
})

test('a statement that is not answered in time is a store that is away, and its connection is not used again', async (t) => {
  t.mock.method(console, 'error', () => {})
  const app = await createApp('Test', 'cut')
  t.after(() => app.close())
  app.get('/hanging', () => pool.query('select pg_sleep(60)'))
  assert.equal((await app.inject('/hanging')).statusCode, 503)
  await pool.query('select 1')
})

test('a transaction that hangs gives its connection up without waiting for a rollback', async (t) => {
  const { mock } = t.mock.method(Client.prototype, 'query')
  await assert.rejects(
    inTransaction(pool, (tx) => tx.query('select pg_sleep(60)')),
    isAway,
  )
  assert.deepEqual(
    mock.calls.map(({ arguments: [statement] }) => statement),
    ['begin', 'select pg_sleep(60)'],
  )
  await pool.query('select 1')
})

test('without limits of its own a pool has those of this house', async () => {
  const plain = await connectDatabase(database.url, { max: 1 })
  await plain.end()
  assert.deepEqual(
    [plain.options.connectionTimeoutMillis, (plain.options as { query_timeout?: number }).query_timeout],
    [5_000, 15_000],
  )
})

function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => assert.fail('it has not failed'),
    (error: unknown) => error,
  )
}

test("the library's own limit is a store that is away", () => {
  assert.ok(isAway(new Error('PostgreSQL has not answered within 5000 ms')))
})

test('what has failed is certainly undone only if the server has refused it, or no connection was there to send it on', async () => {
  assert.equal(isUndone(await failureOf(pool.query('select 1 / 0'))), true)
  assert.equal(isUndone(await failureOf(pool.query('select pg_sleep(60)'))), false)
  assert.equal(
    isUndone(await failureOf(pool.query('select pg_terminate_backend(pg_backend_pid()), pg_sleep(1)'))),
    false,
  )
  const held = await pool.connect()
  assert.equal(isUndone(await failureOf(pool.query('select 1'))), true)
  held.release()
  const away = new Pool({ host: '127.0.0.1', port: await findFreePort() })
  assert.equal(isUndone(await failureOf(away.query('select 1'))), true)
  await away.end()
})
