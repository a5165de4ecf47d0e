/** A database that does not answer: what callers are told of a payment that may be written down, and what a repeat gets. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createApp, type App } from '@milena/hosting'
import type { Requester } from '@milena/request-reply'
import { TypeOverrides, type Pool } from 'pg'
import { openTestDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { waitFor } from '../../../test/support/wait-for.ts'
import { migrate } from '../src/database/migrate.ts'
import { Gateway } from '../src/gateway/gateway.ts'
import { PaymentStore } from '../src/gateway/payment-store.ts'
import { Reconciler } from '../src/gateway/reconciler.ts'
import { addPaymentRoutes } from '../src/gateway/routes.ts'
import { defineOperations } from '../src/operations.ts'

/** Milliseconds until a statement is given up, and that a payment may take. */
const limit = 300
const timeout = 3_000
const provider = { call: async () => ({ status: 404, headers: {}, body: { now: Date.now() } }) }

let database: TestDatabase
let pool: Pool
let sent: string[]
let served: ReturnType<typeof serve>

before(async () => {
  database = await openTestDatabase()
  await migrate(database.pool, 'public')
  const types = new TypeOverrides()
  types.setTypeParser(20, Number)
  pool = database.openPool({ query_timeout: limit, types })
})
after(() => database.close())
beforeEach(async () => {
  sent = []
  await database.pool.query('truncate payments, payment_events, dead_letters')
  served = serve(timeout)
})

/** A gateway whose workers approve everything at once, and whose provider has never heard of anything. */
async function serve(timeout: number): Promise<{ app: App; reconciler: Reconciler }> {
  const operations = defineOperations('', 'key')
  const requester = {
    request: async (_operation: unknown, asked: { orderId: string; refundId?: string; amount: number }) => {
      sent.push(asked.refundId ?? asked.orderId)
      return { value: { ...asked, status: 'approved', approvalId: 'a', providerMs: 1, worker: 'w' } }
    },
    outcome: async () => ({ state: 'none' }),
  } as unknown as Requester
  const store = new PaymentStore(pool, 0)
  const reconciler = new Reconciler({ store, requester, operations, provider: provider as never })
  const given = { pool, store, requester, operations, reconciler, owner: 'gateway', timeout, maxPending: 40 }
  const app = await createApp('Test', 'cut')
  addPaymentRoutes(app, new Gateway(given), store, reconciler)
  return { app, reconciler }
}

async function post(url: string, payload: object): Promise<Record<string, unknown>> {
  const { app } = await served
  const answer = await app.inject({ method: 'POST', url, payload })
  return { httpStatus: answer.statusCode, ...answer.json<Record<string, unknown>>() }
}

const order = { orderId: 'o-1', amount: 100, method: 'card' }
const pay = () => post('/payments', order)
const refund = () => post('/payments/o-1/refund', { refundId: 'r-1', amount: 1 })

/** Until what the gateway has given up is carried out. */
function untilCarriedOut(): Promise<boolean> {
  return waitFor(isIdle, { what: 'the server to be idle' })
}

async function isIdle(): Promise<boolean> {
  const { rows } = await database.pool.query(
    `select 1 from pg_stat_activity where datname = current_database() and state = 'active' and pid <> pg_backend_pid()`,
  )
  return rows.length === 0
}

async function rows(): Promise<unknown[]> {
  return (await database.pool.query('select state from payments')).rows.map(({ state }) => state as unknown)
}

test('a payment that may be written down is told as unknown, and the repeat sends it once', async () => {
  const { httpStatus, code, paymentStatus, orderId } = await database.whileLocked('payments', pay)
  assert.deepEqual([httpStatus, code, paymentStatus, orderId], [504, 'PAYMENT_UNKNOWN', 'unknown', 'o-1'])
  await untilCarriedOut()
  assert.deepEqual([await rows(), sent], [['pending'], []])
  assert.equal((await pay())['httpStatus'], 200)
  assert.deepEqual(sent, ['o-1'])
})

test('what a database carries out when the time of a payment is over writes nothing down, and the repeat pays', async () => {
  served = serve(limit + 200)
  const told = await database.whileLocked('payments', async () => {
    const told = await pay()
    await sleep(400)
    return told
  })
  assert.equal(told['httpStatus'], 504)
  await untilCarriedOut()
  assert.deepEqual(await rows(), [])
  assert.equal((await pay())['httpStatus'], 200)
  assert.deepEqual(sent, ['o-1'])
})

test('a payment that is written down and that nobody sends is settled, and the repeat is told that nothing was charged', async () => {
  served = serve(limit + 200)
  await database.whileLocked('payments', pay)
  await untilCarriedOut()
  assert.deepEqual(await rows(), ['pending'])
  await sleep(400)
  const { httpStatus, code, title, detail } = await pay()
  assert.deepEqual(
    [httpStatus, code, title, detail],
    [
      502,
      'PAYMENT_FAILED',
      'Failed: nothing was charged, nor will be',
      'never charged: its time is over; to try again, use another orderId',
    ],
  )
  assert.deepEqual(sent, [])
})

test('a refund that may be written down is told as unknown, and the repeat makes it once', async () => {
  await pay()
  const { httpStatus, code, orderId, refundId } = await database.whileLocked('payments', refund)
  assert.deepEqual([httpStatus, code, orderId, refundId], [504, 'PAYMENT_UNKNOWN', 'o-1', 'r-1'])
  await untilCarriedOut()
  assert.equal((await refund())['httpStatus'], 200)
  assert.deepEqual(sent, ['o-1', 'o-1/r-1'])
})

test('a payment that the database has certainly not taken is refused as not begun', async () => {
  await database.pool.query('alter table payments add constraint no_more check (amount < 100) not valid')
  try {
    assert.deepEqual([(await pay())['httpStatus'], (await pay())['code']], [503, 'NOT_NOW'])
  } finally {
    await database.pool.query('alter table payments drop constraint no_more')
  }
  assert.equal((await pay())['httpStatus'], 200)
})
