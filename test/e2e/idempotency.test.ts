/** The same work once: processes that are killed between any two of its steps, on brokers and PostgreSQL. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createRequester, defineOperation, openKafka, replyPartition, string } from '@milena/request-reply'
import { migrate } from '@milena/postgres'
import {
  answersFromTheStore,
  type IdempotencyCase,
} from '../../packages/request-reply/test/idempotency-cases.ts'
import { openTestCluster, uniqueName, type TestCluster } from '../support/cluster.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { runPage } from '../support/run-page.ts'
import { Worker } from '../support/worker.ts'
import { orderFor, places, tables, type WorkerOptions } from './idempotency-worker.ts'

let cluster: TestCluster
let database: TestDatabase
before(async () => {
  ;[cluster, database] = await Promise.all([openTestCluster(), openTestDatabase()])
  await migrate(database.pool)
  await database.pool.query(tables)
})
after(async () => {
  await cluster.close()
  await database.close()
})

test('workers are killed around every step: no effect twice, none missing, and every request has its reply', async () => {
  const topic = await cluster.createTopic('idempotency_request')
  const replies = await cluster.createTopic('idempotency_reply')
  const worker = new Worker(new URL('idempotency-worker.ts', import.meta.url), {
    brokers: cluster.brokers,
    groupId: uniqueName('idempotency'),
    topic,
    replies,
    databaseUrl: database.url,
    sessionTimeout: 6_000,
  } satisfies WorkerOptions)
  const requester = await createRequester({
    kafka: { brokers: cluster.brokers },
    replyRouting: replyPartition({ topic: replies }),
    timeout: 120_000,
  })
  const work = defineOperation({
    name: 'work',
    topic,
    request: string(),
    reply: string(),
    idempotencyKey: (order) => order,
  })
  try {
    const orders: string[] = []
    const ask = async (asked: readonly string[]): Promise<void> => {
      orders.push(...asked)
      const answers = await Promise.all(
        asked.map(async (order) => (await requester.request(work, order)).value),
      )
      assert.deepEqual(
        answers,
        asked.map((order) => `done: ${order}`),
      )
    }
    // All at once: then a death at one place interrupts the others on their way, and some may have passed theirs.
    await ask([
      ...places.map((place) => orderFor(place, 1)),
      ...Array.from({ length: 8 }, (_, i) => `order ${i}`),
    ])
    for (let attempt = 2; ; attempt++) {
      const { rows } = await database.pool.query<{ readonly place: string }>('SELECT place FROM deaths')
      const missing = places.filter((place) => !rows.some((row) => row.place === place))
      if (missing.length === 0) break
      assert.ok(attempt < 20, `no worker died ${missing.join(', ')}`)
      for (const place of missing) await ask([orderFor(place, attempt)])
    }
    const { rows } = await database.pool.query<{ readonly what: string; readonly times: number }>(
      'SELECT what, count(*)::int AS times FROM effects GROUP BY what',
    )
    const times = Object.fromEntries(rows.map((row) => [row.what, row.times]))
    assert.deepEqual(times, Object.fromEntries(orders.map((order) => [order, 1])))
    const again = await Promise.all(orders.map((order) => requester.request(work, order)))
    assert.equal(again.length, orders.length)
    const { rows: total } = await database.pool.query('SELECT 1 FROM effects')
    assert.equal(total.length, orders.length)
    const outcome = await requester.outcome(work, orders[0]!)
    assert.equal(outcome.state === 'done' && outcome.reply?.value, `done: ${orders[0]}`)
  } finally {
    await requester.close({ timeout: 0 })
    await worker.close()
  }
})

test('a redelivery gets the stored reply, however late', async (t) => {
  const topic = await cluster.createTopic('idempotency_late')
  const replies = await cluster.createTopic('idempotency_late_reply')
  const connect = async (): ReturnType<IdempotencyCase['connect']> => {
    const transport = await openKafka({ brokers: cluster.brokers })
    t.after(() => transport.close())
    return { transport, die: () => transport.close() }
  }
  await answersFromTheStore({ requests: topic, replies, sessionTimeout: 6_000, connect })
})

test('the example of the page runs as it stands', async () => {
  const code = { page: 'docs/idempotency.md', block: 0, topics: ['pay_request', 'pay_reply'] }
  await runPage(cluster, code)
})
