import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { defineOperation } from '../src/contract/operation.ts'
import { json, string } from '../src/contract/payload.ts'
import { RemoteError, ReplyError, type MilenaError } from '../src/errors.ts'
import { idempotency, type Idempotency } from '../src/idempotency/idempotency.ts'
import { memoryIdempotencyStore } from '../src/idempotency/memory-store.ts'
import type { IdempotencyStore } from '../src/idempotency/store.ts'
import type { LateReply } from '../src/requester/reply.ts'
import { createRequester, type Requester } from '../src/requester/requester.ts'
import { replyPartition } from '../src/routing/reply-partition.ts'
import { Gates, until } from './asking.ts'
import { away, FaultyStore } from './idempotency-faults.ts'
import { setUp, type Bench } from './replying.ts'

const definition = {
  name: 'pay',
  topic: 'shop_request',
  request: string(),
  reply: json<{ readonly approved: string }>(),
  key: (order: string): string => order,
}
const pay = defineOperation({ ...definition, idempotencyKey: (order) => `order ${order}` })
const plain = defineOperation(definition)

interface Shop {
  readonly bench: Bench
  readonly requester: Requester
  readonly gates: Gates
  readonly payments: Idempotency
  readonly late: LateReply[]
}

async function open(
  t: TestContext,
  store: IdempotencyStore = memoryIdempotencyStore(),
  timeout = 30_000,
): Promise<Shop> {
  const bench = await setUp(t, 2)
  const gates = new Gates()
  const payments = idempotency({ store })
  const shop = bench.replier()
  shop.handle(
    pay,
    async (order) => {
      await gates.pass(order)
      if (order === 'declined') throw new ReplyError('DECLINED', 'not today', { effect: 'none' })
      if (order === 'busy') throw new ReplyError('BUSY', 'later', { retryable: true })
      return { approved: order }
    },
    { useRecords: [payments] },
  )
  await shop.start()
  const late: LateReply[] = []
  const requester = await createRequester({
    transport: bench.connect(),
    replyRouting: replyPartition({ topic: 'shop_reply' }),
    timeout,
    onLateReply: (reply) => void late.push(reply),
  })
  t.after(() => requester.close({ timeout: 0 }))
  return { bench, requester, gates, payments, late }
}

test('done: the stored reply, decoded as the reply itself is', async (t) => {
  const { requester, gates } = await open(t)
  await requester.request(pay, 'tea')
  const outcome = await requester.outcome(pay, 'order tea')
  assert.ok(outcome.state === 'done')
  assert.deepEqual(outcome.reply?.value, { approved: 'tea' })
  assert.equal(outcome.error, undefined)
  assert.ok(Math.abs(outcome.storedAt - Date.now()) < 60_000)
  assert.deepEqual(gates.began, ['tea'], 'asking does nothing')
})

test('done: the stored failure, as the request would have been told it', async (t) => {
  const { requester } = await open(t)
  await assert.rejects(requester.request(pay, 'declined'))
  const outcome = await requester.outcome(pay, 'order declined')
  assert.ok(outcome.state === 'done' && outcome.error instanceof RemoteError)
  assert.deepEqual(
    [outcome.error.remoteCode, outcome.error.effect, outcome.error.outcomeKnown],
    ['DECLINED', 'none', true],
  )
})

test('running: while the handler is at it, and by its correlation id where it had no key', async (t) => {
  const { requester, gates } = await open(t)
  gates.shut('tea', 'coffee')
  const gone = new AbortController()
  const asked = requester.request(pay, 'tea', { signal: gone.signal })
  const other = requester.request(plain, 'coffee', { signal: gone.signal })
  await gates.hasBegun('tea', 'coffee')
  gone.abort()
  const errors = await Promise.allSettled([asked, other])
  const running = await requester.outcome(pay, 'order tea')
  assert.ok(running.state === 'running' && running.remaining > 0 && running.owner !== '')
  const { request } = (errors[1] as PromiseRejectedResult).reason as MilenaError
  const byId = await requester.outcome(pay, { correlationId: request!.correlationId })
  assert.equal(byId.state, 'running')
  gates.open('tea', 'coffee')
  await until('it is done', () => gates.ended.length === 2)
  assert.equal((await requester.outcome(pay, { correlationId: request!.correlationId })).state, 'done')
})

test('unknown: it was begun, and came to no outcome that is kept', async (t) => {
  const { requester } = await open(t)
  await assert.rejects(requester.request(pay, 'busy'))
  const outcome = await requester.outcome(pay, 'order busy', { request: { key: 'busy', since: Date.now() } })
  assert.ok(outcome.state === 'unknown')
  assert.match(outcome.why, /begun, and given up/)
})

const longAgo = { since: Date.now() - 3_600_000, until: Date.now() - 3_000_000 }

/** A store that has known every key for longer than this process lives. */
function oldStore(knowsSince: number | undefined): IdempotencyStore {
  const store = memoryIdempotencyStore()
  return {
    claim: (...given) => store.claim(...given),
    renew: (...given) => store.renew(...given),
    complete: (...given) => store.complete(...given),
    release: (...given) => store.release(...given),
    find: async (id) => {
      const found = await store.find(id)
      return found.kind === 'nothing' ? { kind: 'nothing', knowsSince } : found
    },
  }
}

test('never seen is said of what was certainly not begun, and of nothing else', async (t) => {
  const { requester, payments } = await open(t, oldStore(0))
  const asked = async (request?: Parameters<Requester['outcome']>[2] & object): Promise<string> => {
    const outcome = await requester.outcome(pay, 'order tea', request)
    return outcome.state === 'unknown' ? outcome.why : outcome.state
  }
  assert.equal(await asked({ request: { key: 'tea', ...longAgo } }), 'never seen')
  assert.equal(payments.stats().queries, 2, 'the second question stands behind the request')
  assert.match(await asked(), /only be told if options.request says how it was sent/)
  assert.match(await asked({ request: { key: null, ...longAgo } }), /without a record key/)
  const justNow = { key: 'tea', since: Date.now() - 10_000, until: Date.now() - 5_000 }
  assert.match(await asked({ request: justNow }), /for another \d+ ms it may still be on its way/)
  assert.equal(await asked({ request: justNow, onTheWay: 1_000 }), 'never seen')
  assert.match(
    await asked({ request: { key: 'tea', since: Date.now() - 10_000 } }),
    /on its way/,
    'its own timeout',
  )
})

test('never seen is not said by a store that may have forgotten', async (t) => {
  for (const knowsSince of [undefined, longAgo.since - 1_000]) {
    const { requester } = await open(t, oldStore(knowsSince))
    const outcome = await requester.outcome(pay, 'order tea', { request: { key: 'tea', ...longAgo } })
    assert.ok(outcome.state === 'unknown')
    assert.match(outcome.why, /the store/)
  }
})

test('never seen is not said while the request still waits in the log behind others of its key', async (t) => {
  const { requester, gates, late } = await open(t, oldStore(0))
  gates.shut('first')
  const sent = { key: 'k', timeout: 60_000 }
  const ahead = requester.request(pay, 'first', sent)
  await gates.hasBegun('first')
  const behind = requester.request(pay, 'second', sent)
  const options = { request: { key: 'k', ...longAgo } }
  const short = await requester.outcome(pay, 'order second', { ...options, timeout: 300 })
  assert.ok(short.state === 'unknown')
  assert.match(short.why, /may still stand before it/)
  const asking = requester.outcome(pay, 'order second', options)
  gates.open('first')
  assert.deepEqual((await ahead).value, { approved: 'first' })
  assert.deepEqual((await behind).value, { approved: 'second' })
  assert.equal((await asking).state, 'done')
  // The first question's answer came before that of the second, and too late.
  assert.ok(requester.stats().operations['milena.outcome/pay']?.timedOut === 1)
  assert.deepEqual(late, [], 'who has asked, asks again: late answers are nobody’s')
})

test('unknown: nobody answers, the store is away, or its repliers have no idempotency', async (t) => {
  const store = new FaultyStore(memoryIdempotencyStore())
  const { requester, late } = await open(t, store)
  store.fault = (step) => (step === 'find' ? away() : undefined)
  const failed = await requester.outcome(pay, 'order tea')
  assert.ok(failed.state === 'unknown' && failed.cause instanceof RemoteError)

  const bench = await setUp(t)
  const without = bench.replier()
  without.handle(pay, () => ({ approved: 'x' }))
  await without.start()
  const other = await createRequester({
    transport: bench.connect(),
    replyRouting: replyPartition({ topic: 'shop_reply' }),
  })
  t.after(() => other.close({ timeout: 0 }))
  const refused = await other.outcome(pay, 'order tea')
  assert.ok(refused.state === 'unknown')
  assert.match(refused.why, /have no idempotency/)
  await without.close()
  const silent = await other.outcome(pay, 'order tea', { timeout: 50 })
  assert.ok(silent.state === 'unknown' && silent.cause?.name === 'TimeoutError')
  assert.deepEqual(late, [])
})

test('a key that is none, and options that cannot work, are refused', async (t) => {
  const { requester } = await open(t)
  for (const key of ['', { correlationId: 'no' }, 7, null])
    await assert.rejects(requester.outcome(pay, key as string), { code: 'MILENA_OPTIONS_INVALID' })
  const wrong = { timeout: 0, request: { key: 7, since: 'x' } } as never
  await assert.rejects(
    requester.outcome(pay, 'k', wrong),
    /timeout must .* request.key must .* request.since must/,
  )
  await assert.rejects(requester.outcome(pay, 'k', { onTheWay: -1 }), /onTheWay must be milliseconds/)
  const name = 'x'.repeat(250)
  await assert.rejects(
    requester.outcome(defineOperation({ name, topic: 't', request: string() }), 'k'),
    /too long/,
  )
})

test('a key comes from the operation or from the caller, and one that cannot be is refused', async (t) => {
  const { requester, payments } = await open(t)
  await requester.request(pay, 'tea')
  await requester.request(pay, 'tea', { idempotencyKey: 'order tea' })
  assert.equal(payments.stats().repeated, 1)
  const prepared = await requester.prepare(pay, 'tea')
  assert.equal(prepared.idempotencyKey, 'order tea')
  for (const idempotencyKey of ['', 'x'.repeat(256), 'a\u0000b', 7])
    await assert.rejects(requester.request(pay, 'tea', { idempotencyKey } as never), /idempotencyKey must/)
})
