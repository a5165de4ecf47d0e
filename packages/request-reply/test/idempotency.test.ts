/** What comes again under one key: whether it is handled, and what it is answered with. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReplyError } from '../src/errors.ts'
import { idempotency } from '../src/idempotency/idempotency.ts'
import { memoryIdempotencyStore } from '../src/idempotency/memory-store.ts'
import { Gates, until } from './asking.ts'
import { keyed, pay, text } from './keyed.ts'
import { setUp } from './replying.ts'

test('what comes again under one key gets the first reply, in its bytes, and its handler is not run again', async (t) => {
  const { asking, replier } = await setUp(t)
  const payments = idempotency({ store: memoryIdempotencyStore() })
  let handled = 0
  const shop = replier({ replyHeaders: () => ({ 'shop-run': String(handled) }) })
  shop.handle(pay, (order) => `${order}: ${++handled}`, { useRecords: [payments] })
  await shop.start()

  const first = await asking.answerTo(text('tea'), keyed('order-1'))
  assert.equal(first.text, 'tea: 1')
  const second = await asking.answerTo(text('tea'), keyed('order-1'))
  assert.deepEqual(second.record.value, first.record.value)
  const header = (name: string, { record }: typeof first): string | undefined =>
    record.headers.find(([given]) => String(given) === name)?.[1]?.toString()
  assert.equal(header('shop-run', second), header('shop-run', first))
  assert.notDeepEqual(second.record.headers, first.record.headers, 'each has its own correlation id')
  assert.equal((await asking.answerTo(text('tea'), keyed('order-2'))).text, 'tea: 2')
  assert.equal(
    (await asking.answerTo(text('tea'))).text,
    'tea: 3',
    'without a key it is known by its correlation id',
  )
  const { claimed, repeated } = payments.stats()
  assert.deepEqual({ claimed, repeated }, { claimed: 3, repeated: 1 })
})

test('without a key of its own a request is known by its correlation id', async (t) => {
  const { asking, replier } = await setUp(t)
  let handled = 0
  const shop = replier()
  shop.handle(pay, (order) => `${order}: ${++handled}`, {
    useRecords: [idempotency({ store: memoryIdempotencyStore() })],
  })
  await shop.start()
  const correlationId = Buffer.alloc(16, 7)
  await asking.ask(text('tea'), { correlationId })
  const last = await asking.ask(text('tea'), { correlationId })
  await asking.conditions.until('both are answered', () => asking.repliesTo(last).length === 2)
  assert.deepEqual(
    asking.repliesTo(last).map((reply) => reply.text),
    ['tea: 1', 'tea: 1'],
  )
})

test('a one-way request without a key is handled each time', async (t) => {
  const { asking, replier } = await setUp(t)
  const payments = idempotency({ store: memoryIdempotencyStore() })
  let handled = 0
  const shop = replier()
  shop.handle(pay, () => String(++handled), { useRecords: [payments] })
  await shop.start()
  const oneWay = { correlationId: null, replyTo: null } as const
  for (let i = 0; i < 2; i++) await asking.ask(text('tea'), oneWay)
  for (let i = 0; i < 2; i++) await asking.ask(text('tea'), { ...oneWay, ...keyed('order-1') })
  await until('all are finished', () => shop.stats().committed === 4)
  assert.equal(handled, 3)
  assert.equal(payments.stats().unkeyed, 2)
  const reply = await asking.answerTo(text('tea'), keyed('order-1'))
  assert.equal(reply.error?.code, 'MILENA_REPLY_INVALID')
  assert.equal(reply.error?.effect, 'done')
})

test('a request whose work is done is answered however late, and one that was not begun is not', async (t) => {
  const { asking, replier } = await setUp(t)
  let handled = 0
  const shop = replier()
  shop.handle(pay, () => String(++handled), {
    useRecords: [idempotency({ store: memoryIdempotencyStore() })],
  })
  await shop.start()
  const late = { deadline: Date.now() - 60_000 }
  assert.equal((await asking.answerTo(text('tea'), keyed('order-1'))).text, '1')
  assert.equal((await asking.answerTo(text('tea'), { ...keyed('order-1'), ...late })).text, '1')
  const refused = await asking.answerTo(text('tea'), { ...keyed('order-2'), ...late })
  assert.equal(refused.error?.code, 'MILENA_DEADLINE_EXCEEDED')
  assert.equal((await asking.answerTo(text('tea'), keyed('order-2'))).text, '2', 'a refusal is not kept')
})

test('a final failure is kept, and one that can be tried again is not', async (t) => {
  const { asking, replier } = await setUp(t)
  const handled: string[] = []
  const shop = replier()
  shop.handle(
    pay,
    (order) => {
      handled.push(order)
      if (order === 'declined') throw new ReplyError('DECLINED', 'not today', { effect: 'none' })
      if (order === 'busy') throw new ReplyError('BUSY', 'later', { retryable: true })
      throw new Error('a fault')
    },
    { useRecords: [idempotency({ store: memoryIdempotencyStore() })] },
  )
  await shop.start()
  const codes: (string | undefined)[] = []
  for (const order of ['declined', 'declined', 'broken', 'broken', 'busy', 'busy']) {
    const { error } = await asking.answerTo(text(order), keyed(order))
    codes.push(error?.code)
    if (order === 'declined') assert.deepEqual([error?.message, error?.effect], ['not today', 'none'])
  }
  assert.deepEqual(codes, [
    'DECLINED',
    'DECLINED',
    'MILENA_HANDLER_FAILED',
    'MILENA_HANDLER_FAILED',
    'BUSY',
    'BUSY',
  ])
  assert.deepEqual(handled, ['declined', 'broken', 'busy', 'busy'])
})

test('what cannot be decoded is not kept: sent again as it should be, under another key, it is handled', async (t) => {
  const { asking, replier } = await setUp(t)
  const store = memoryIdempotencyStore()
  const shop = replier()
  shop.handle(pay, (order) => order, { useRecords: [idempotency({ store })] })
  await shop.start()
  const undecodable = await asking.answerTo(Buffer.from([0xff, 0xfe]), keyed('order-1'))
  assert.equal(undecodable.error?.code, 'MILENA_CODEC_FAILED')
  assert.equal((await asking.answerTo(text('tea'), keyed('order-1'))).text, 'tea')
})

test('one key with another content is refused, also while the first is being handled', async (t) => {
  const { asking, replier } = await setUp(t)
  const payments = idempotency({ store: memoryIdempotencyStore() })
  const gates = new Gates()
  gates.shut('tea')
  const shop = replier()
  shop.handle(
    pay,
    async (order) => {
      await gates.pass(order)
      return order
    },
    { useRecords: [payments] },
  )
  await shop.start()
  const first = await asking.ask(text('tea'), keyed('order-1'))
  await gates.hasBegun('tea')
  const whileRunning = await asking.answerTo(text('coffee'), keyed('order-1'))
  gates.open('tea')
  await asking.reply(first)
  const afterwards = await asking.answerTo(text('coffee'), keyed('order-1'))
  assert.deepEqual(
    [whileRunning.error?.code, afterwards.error?.code],
    ['MILENA_IDEMPOTENCY_KEY_REUSED', 'MILENA_IDEMPOTENCY_KEY_REUSED'],
  )
  assert.deepEqual(gates.began, ['tea'])
  assert.equal(payments.stats().mismatched, 2)
})

test('a key that cannot be is refused', async (t) => {
  const { asking, replier } = await setUp(t)
  const shop = replier()
  shop.handle(pay, () => assert.fail('it is not handled'), {
    useRecords: [idempotency({ store: memoryIdempotencyStore() })],
  })
  await shop.start()
  const name = Buffer.from('milena-idempotency-key')
  for (const value of [
    null,
    Buffer.alloc(0),
    Buffer.alloc(256, 'x'),
    Buffer.from('a\nb'),
    Buffer.from([0xff]),
  ]) {
    const { error } = await asking.answerTo(text('tea'), { headers: [[name, value]] })
    assert.equal(error?.code, 'MILENA_REQUEST_INVALID')
    assert.match(error?.message ?? '', /idempotency key must/)
  }
})

test('an operation has one of them: where it would stand twice, the replier does not start', async (t) => {
  const { replier } = await setUp(t)
  const payments = idempotency({ store: memoryIdempotencyStore() })
  const shop = replier()
  shop.useRecords(payments)
  shop.handle(pay, (order) => order, { useRecords: [payments] })
  await assert.rejects(shop.start(), /milena.outcome\/pay .* has a handler already/)
})

test('it belongs to one group, and options that cannot work are refused, all at once', async (t) => {
  const { replier } = await setUp(t)
  const payments = idempotency({ store: memoryIdempotencyStore() })
  const [shop, other] = [replier(), replier({ groupId: 'other' })]
  for (const one of [shop, other]) one.handle(pay, (order) => order, { useRecords: [payments] })
  await shop.start()
  await assert.rejects(other.start(), /belongs to a replier of group shop/)
  const wrong = { store: {}, ttl: 0, lease: 1, whileRunning: 'never', unheard: 1 } as never
  assert.throws(() => idempotency(wrong), {
    code: 'MILENA_OPTIONS_INVALID',
    message: /no option unheard.*store must.*ttl must.*lease must.*whileRunning must/s,
  })
  assert.throws(() => memoryIdempotencyStore({ maxEntries: 0 }), /maxEntries must/)
})
