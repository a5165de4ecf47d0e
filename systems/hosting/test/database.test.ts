/** Databases that are there and say nothing. */
import { connectDatabase, createApp, inTransaction, isAway } from '@milena/hosting'
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Client, type Pool } from 'pg'
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
