import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import type { Pool } from 'pg'
import { openTestDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { connect } from '../src/database/connect.ts'
import { createTables } from '../src/database/database.ts'
import { ChangeStore } from '../src/requester/change-store.ts'
import type { Change } from '../src/requester/schemas.ts'

let database: TestDatabase
let pool: Pool
let store: ChangeStore

before(async () => {
  database = await openTestDatabase()
  await createTables(database.url)
  pool = await connect(database.url, 4)
})
after(async () => {
  await pool.end()
  await database.close()
})
beforeEach(async () => {
  await pool.query('truncate changes')
  store = new ChangeStore(pool)
})

function change(n: number, status: Change['status'] = 'failed'): Change {
  return {
    id: `t:shop-${n}`,
    trigger: 't',
    shop: `shop-${n}`,
    kind: 'bad-weather',
    action: 'begin',
    status,
    code: status === 'done' ? null : 'CODE',
    message: status === 'done' ? null : 'why',
    requestedAt: '2026-11-28T18:00:00.123Z',
  }
}

async function put(...changes: readonly Change[]): Promise<void> {
  for (const each of changes) await store.put(each)
  await store.written()
}

test('what is put comes back as it was, in its order', async () => {
  const all = Array.from({ length: 2_500 }, (_, n) => change(n))
  await put(...all)
  const page = await store.list({ status: 'failed', limit: 1_000 })
  assert.deepEqual(page, all.slice(0, 1_000))
  const rest = await store.list({ status: 'failed', limit: 10_000, after: page.at(-1)!.id })
  assert.deepEqual(rest, all.slice(1_000))
})

test('an outcome takes the place of unknown, and unknown never that of an outcome, whichever comes first', async () => {
  await put(change(1, 'unknown'), change(1, 'done'))
  await put(change(2, 'done'), change(2, 'unknown'))
  await put(change(3, 'unknown'))
  await put(change(3, 'failed'))
  await put(change(4, 'done'))
  await put(change(4, 'unknown'))
  const statuses = await Promise.all([1, 2, 3, 4].map(async (n) => (await store.find(`t:shop-${n}`))!.status))
  assert.deepEqual(statuses, ['done', 'done', 'failed', 'done'])
})

test('of several who want to try a failed change again, one may; and none one that is unknown or done', async () => {
  await put(change(1), change(2, 'unknown'), change(3, 'done'))
  const taken = await Promise.all(Array.from({ length: 8 }, () => store.take('t:shop-1')))
  assert.equal(taken.filter(Boolean).length, 1)
  assert.equal((await store.find('t:shop-1'))!.status, 'unknown')
  assert.deepEqual([await store.take('t:shop-2'), await store.take('t:shop-3')], [false, false])
})

test('a change that the database can never take is told, and the others are stored', async (t) => {
  const error = t.mock.method(console, 'error', () => {})
  await put(change(1), { ...change(2), id: 't:\0', shop: '\0' }, change(3))
  assert.deepEqual(await store.list({ status: 'failed', limit: 10 }), [change(1), change(3)])
  assert.match(String(error.mock.calls[0]!.arguments[0]), /^change t:\0 cannot be stored: /)
})

test('a database that is away for a while loses no change', async (t) => {
  const error = t.mock.method(console, 'error', () => {})
  await database.allowConnections(false)
  await database.killConnections()
  const written = put(change(1))
  while (error.mock.callCount() === 0) await new Promise((resolve) => setImmediate(resolve))
  await database.allowConnections(true)
  await written
  assert.equal((await store.find('t:shop-1'))!.status, 'failed')
})
