/** Idempotency, dead letters, retry topics and retry in place, one inside of the other: nothing is lost between them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineOperation } from '../src/contract/operation.ts'
import { string } from '../src/contract/payload.ts'
import { deadLetter } from '../src/dead-letters/dead-letter.ts'
import { idempotency } from '../src/idempotency/idempotency.ts'
import { fingerprintOf } from '../src/idempotency/key.ts'
import { memoryIdempotencyStore } from '../src/idempotency/memory-store.ts'
import type { RecordMiddleware } from '../src/replier/record-middleware.ts'
import { retry } from '../src/retry/retry.ts'
import { retryTopics } from '../src/retry/retry-topics.ts'
import { replayOfName } from '../src/wire/dead-letter.ts'
import { idempotencyKeyHeader } from '../src/wire/milena.ts'
import { until } from './asking.ts'
import { setUp } from './replying.ts'

const pay = defineOperation({ name: 'pay', topic: 'shop_request', request: string(), reply: string() })
const order = Buffer.from('tea')
const keyed = { headers: [idempotencyKeyHeader('order-1')] }
const id = { scope: 'shop/pay', key: 'order-1' }
const nothing: unknown = undefined
const plain: RecordMiddleware = (_, next) => next()

test('what was handed to a retry topic comes again, though nothing was thrown that can be seen', async (t) => {
  const { asking, replier } = await setUp(t)
  const shop = replier({ createTopics: true })
  let tries = 0
  const handler = (value: string): string => {
    if (++tries === 1) throw nothing
    return `${value} ${tries}`
  }
  shop.handle(pay, handler, {
    useRecords: [idempotency({ store: memoryIdempotencyStore() }), retryTopics({ delays: [10] })],
  })
  await shop.start()
  assert.equal((await asking.answerTo(order, keyed)).text, 'tea 2')
})

test('so does what a middleware inside has answered, and what the library has refused', async (t) => {
  const { asking, replier } = await setUp(t)
  const shop = replier({ createTopics: true })
  let isOpen = false
  const breaker: RecordMiddleware = (request, next) => {
    if (isOpen) return next()
    isOpen = true
    return { kind: 'error', code: 'BREAKER_OPEN', message: 'not now', retryable: true }
  }
  shop.handle(pay, (value) => value, {
    useRecords: [
      idempotency({ store: memoryIdempotencyStore() }),
      deadLetter(),
      retryTopics({ delays: [10], retryable: () => true }),
      breaker,
    ],
  })
  await shop.start()
  assert.equal((await asking.answerTo(order, keyed)).text, 'tea')
  const undecodable = await asking.answerTo(Buffer.from([0xff]), { headers: [idempotencyKeyHeader('o-2')] })
  assert.equal(undecodable.error?.code, 'MILENA_DEAD_LETTERED')
})

test('a one-way request whose claim outlasts its deadline is kept, not lost', async (t) => {
  const { asking, replier, broker } = await setUp(t)
  const store = memoryIdempotencyStore()
  const fingerprint = fingerprintOf('pay', order)
  // Of a process that died.
  await store.claim(id, { fingerprint, owner: 'gone', lease: 300, ttl: 60_000 })
  const shop = replier({ createTopics: true, clockTolerance: 0 })
  shop.handle(pay, (value) => value, { useRecords: [idempotency({ store }), deadLetter()] })
  await shop.start()
  await asking.ask(order, { ...keyed, replyTo: null, correlationId: null, deadline: Date.now() + 50 })
  await until('it has ended', () => broker.committed('shop').some(({ offset }) => offset === 1))
  assert.equal(broker.records('shop_request-dlt').length, 1)
})

test('a replay that comes too late to be begun is a letter again', async (t) => {
  const { asking, replier, broker } = await setUp(t)
  const shop = replier({ createTopics: true, concurrency: 1 })
  shop.handle(pay, (value) => value, { useRecords: [deadLetter()] })
  await shop.start()
  const replay = { headers: [[replayOfName, Buffer.from('shop_request-dlt/0/0')] as const] }
  const late = await asking.answerTo(order, { ...replay, deadline: Date.now() - 60_000 })
  assert.equal(late.error?.code, 'MILENA_DEAD_LETTERED')
  assert.equal(broker.records('shop_request-dlt').length, 1)
})

test('dead letters whose topic was missing at first: the replier starts once it is there', async (t) => {
  const { replier, connect } = await setUp(t)
  const letters = deadLetter()
  const shop = replier()
  shop.handle(pay, (value) => value, { useRecords: [letters] })
  await assert.rejects(shop.start(), { code: 'MILENA_TOPIC_MISSING' })
  await connect().createTopics([{ name: 'shop_request-dlt', partitions: 1 }])
  await shop.start()
})

test('in another order than they work in they are refused, and told which', async (t) => {
  const { replier } = await setUp(t)
  const store = memoryIdempotencyStore()
  for (const [outer, inner] of [
    [retry(), idempotency({ store })],
    [deadLetter(), idempotency({ store })],
    [retry(), deadLetter()],
    [retryTopics(), deadLetter()],
    [retry(), retryTopics()],
  ] as const) {
    const shop = replier()
    shop.useRecords(outer)
    shop.handle(pay, (value) => value, { useRecords: [plain, inner as RecordMiddleware] })
    await assert.rejects(shop.start(), {
      code: 'MILENA_OPTIONS_INVALID',
      message: new RegExp(
        `operation pay: ${outer.name} stands outside of ${inner.name}: from the outside in it is idempotency, deadLetter, retryTopics, retry`,
      ),
    })
  }
})
