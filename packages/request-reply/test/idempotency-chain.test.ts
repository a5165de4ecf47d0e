/** Idempotency outside of dead letters and retries: who has the key, and what is kept of it. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { defineOperation } from '../src/contract/operation.ts'
import { string } from '../src/contract/payload.ts'
import { deadLetter } from '../src/dead-letters/dead-letter.ts'
import { ReplyError } from '../src/errors.ts'
import { idempotency, type Idempotency } from '../src/idempotency/idempotency.ts'
import { memoryIdempotencyStore, type MemoryIdempotencyStore } from '../src/idempotency/memory-store.ts'
import type { RecordMiddleware } from '../src/replier/record-middleware.ts'
import { fixed } from '../src/retry/backoff.ts'
import { retry } from '../src/retry/retry.ts'
import { retryTopics } from '../src/retry/retry-topics.ts'
import { replayOfName } from '../src/wire/dead-letter.ts'
import { idempotencyKeyHeader } from '../src/wire/milena.ts'
import { setUp, type Bench } from './replying.ts'

const pay = defineOperation({ name: 'pay', topic: 'shop_request', request: string(), reply: string() })
const order = Buffer.from('tea')
const keyed = { headers: [idempotencyKeyHeader('order-1')] }
const id = { scope: 'shop/pay', key: 'order-1' }

interface Chain extends Bench {
  readonly payments: Idempotency
  readonly store: MemoryIdempotencyStore
  /** How often the handler was called. */
  readonly tries: () => number
}

/** @param fails how often the handler fails before it succeeds */
async function chained(t: TestContext, fails: number, inside: readonly RecordMiddleware[]): Promise<Chain> {
  const bench = await setUp(t)
  const store = memoryIdempotencyStore()
  const payments = idempotency({ store })
  let tries = 0
  const shop = bench.replier({ createTopics: true })
  const handler = (value: string): string => {
    if (++tries <= fails) throw new ReplyError('BUSY', 'not now', { retryable: true })
    return `${value} ${tries}`
  }
  shop.handle(pay, handler, { useRecords: [payments, ...inside] })
  await shop.start()
  return { ...bench, payments, store, tries: () => tries }
}

test('a retry in place has the key again at each try, and its reply is kept', async (t) => {
  const { asking, tries } = await chained(t, 2, [retry({ attempts: 4, backoff: fixed(5) })])
  assert.equal((await asking.answerTo(order, keyed)).text, 'tea 3')
  assert.equal((await asking.answerTo(order, keyed)).text, 'tea 3')
  assert.equal(tries(), 3)
})

test('a retry topic’s delivery takes the key over', async (t) => {
  const { asking, tries, store } = await chained(t, 2, [retryTopics({ delays: [10, 10] })])
  assert.equal((await asking.answerTo(order, keyed)).text, 'tea 3')
  assert.equal((await asking.answerTo(order, keyed)).text, 'tea 3')
  assert.equal(tries(), 3)
  assert.equal((await store.find(id)).kind, 'stored')
})

test('what became a dead letter is answered as one, and is not handled again but by its replay', async (t) => {
  const { asking, tries, payments, broker } = await chained(t, 2, [
    deadLetter(),
    retry({ attempts: 2, backoff: fixed(5) }),
  ])
  const replayed = {
    headers: [...keyed.headers, [replayOfName, Buffer.from('shop_request-dlt/0/0')] as const],
  }
  for (let i = 0; i < 2; i++)
    assert.equal((await asking.answerTo(order, keyed)).error?.code, 'MILENA_DEAD_LETTERED')
  assert.equal(tries(), 2)
  assert.equal((await asking.answerTo(order, replayed)).text, 'tea 3')
  assert.equal((await asking.answerTo(order, keyed)).text, 'tea 3', 'from here on that is its outcome')
  assert.equal((await asking.answerTo(order, replayed)).text, 'tea 3', 'and no replay changes it')
  assert.equal(tries(), 3)
  assert.equal(payments.stats().claimed, 3, 'two tries and the replay')
  assert.equal(broker.records('shop_request-dlt').length, 1)
})
