import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineOperation } from '../src/contract/operation.ts'
import { string } from '../src/contract/payload.ts'
import { ReplyError } from '../src/errors.ts'
import { idempotency } from '../src/idempotency/idempotency.ts'
import { memoryIdempotencyStore } from '../src/idempotency/memory-store.ts'
import type { IdempotencyStore, IdempotencyTransaction } from '../src/idempotency/store.ts'
import type { RawHeader } from '../src/wire/headers.ts'
import { idempotencyKeyHeader } from '../src/wire/milena.ts'
import { Gates, until } from './asking.ts'
import { away, died, FaultyStore } from './idempotency-faults.ts'
import { ManualClock } from './manual-clock.ts'
import { setUp } from './replying.ts'

const pay = defineOperation({ name: 'pay', topic: 'shop_request', request: string(), reply: string() })
const text = (value: string): Buffer => Buffer.from(value)
const keyed = (key: string): { readonly headers: readonly RawHeader[] } => ({
  headers: [idempotencyKeyHeader(key)],
})

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

test('a key that somebody is at work on has a request wait, without a slot, for its reply', async (t) => {
  const { asking, replier } = await setUp(t)
  const payments = idempotency({ store: memoryIdempotencyStore() })
  const gates = new Gates()
  gates.shut('tea')
  const shop = replier({ concurrency: 2 })
  shop.handle(
    pay,
    async (order) => {
      await gates.pass(order)
      return `${order} ${gates.began.length}`
    },
    { useRecords: [payments] },
  )
  await shop.start()
  const first = await asking.ask(text('tea'), keyed('order-1'))
  await gates.hasBegun('tea')
  const waiting = [
    await asking.ask(text('tea'), keyed('order-1')),
    await asking.ask(text('tea'), keyed('order-1')),
  ]
  await until('both wait', () => payments.stats().waited >= 2)
  assert.equal((await asking.answerTo(text('coffee'), keyed('order-2'))).text, 'coffee 2')
  gates.open('tea')
  const replies = await Promise.all([first, ...waiting].map((asked) => asking.reply(asked)))
  assert.deepEqual(
    replies.map((reply) => reply.text),
    [replies[0]!.text, replies[0]!.text, replies[0]!.text],
  )
  assert.deepEqual(gates.began, ['tea', 'coffee'])
})

test('who waits is told at its deadline that the work is under way', async (t) => {
  const { asking, replier } = await setUp(t)
  const gates = new Gates()
  gates.shut('tea')
  const shop = replier({ clockTolerance: 0 })
  const handler = async (order: string): Promise<string> => {
    await gates.pass(order)
    return order
  }
  shop.handle(pay, handler, { useRecords: [idempotency({ store: memoryIdempotencyStore() })] })
  await shop.start()
  const first = await asking.ask(text('tea'), keyed('order-1'))
  await gates.hasBegun('tea')
  const { error } = await asking.answerTo(text('tea'), { ...keyed('order-1'), deadline: Date.now() + 100 })
  assert.equal(error?.code, 'MILENA_IN_PROGRESS')
  gates.open('tea')
  assert.equal((await asking.reply(first)).text, 'tea')
})

test('where it is configured, a request whose key somebody is at work on is told so at once; a one-way request waits', async (t) => {
  const { asking, replier } = await setUp(t)
  const payments = idempotency({ store: memoryIdempotencyStore(), whileRunning: 'refuse' })
  const gates = new Gates()
  gates.shut('tea')
  const shop = replier()
  const handler = async (order: string): Promise<string> => {
    await gates.pass(order)
    return order
  }
  shop.handle(pay, handler, { useRecords: [payments] })
  await shop.start()
  const first = await asking.ask(text('tea'), keyed('order-1'))
  await gates.hasBegun('tea')
  const { error } = await asking.answerTo(text('tea'), keyed('order-1'))
  assert.equal(error?.code, 'MILENA_IN_PROGRESS')
  await asking.ask(text('tea'), { ...keyed('order-1'), correlationId: null, replyTo: null })
  await until('it waits', () => payments.stats().waited > 0)
  gates.open('tea')
  await asking.reply(first)
  await until('all are finished', () => shop.stats().committed === 3)
  assert.deepEqual(shop.stats().passedOver, {})
})

test('a claim is renewed for as long as its handler runs', async (t) => {
  const clock = new ManualClock()
  const { asking, replier } = await setUp(t)
  const store = memoryIdempotencyStore({ clock })
  const gates = new Gates()
  gates.shut('tea')
  const shop = replier({ clock })
  const handler = async (order: string): Promise<string> => {
    await gates.pass(order)
    return order
  }
  shop.handle(pay, handler, { useRecords: [idempotency({ store, lease: 3_000 })] })
  const starting = shop.start()
  await clock.advance(5_000)
  await starting
  const asked = await asking.ask(text('tea'), keyed('order-1'))
  while (gates.began.length === 0) await clock.advance(100)
  for (let second = 0; second < 20; second++) await clock.advance(1_000)
  const found = await store.find({ scope: 'shop/pay', key: 'order-1' })
  assert.equal(found.kind, 'running')
  gates.open('tea')
  await clock.advance(1_000)
  assert.equal(asking.repliesTo(asked)[0]?.text, 'tea')
  assert.equal((await store.find({ scope: 'shop/pay', key: 'order-1' })).kind, 'stored')
})

test('what a process did not live to store is done again by the next one, once its lease is over', async (t) => {
  const { asking, replier, connect } = await setUp(t)
  const shared = memoryIdempotencyStore()
  const dying = new FaultyStore(shared)
  const handled: string[] = []
  const begin = async (name: string, store: IdempotencyStore, lease: number): Promise<() => void> => {
    const connection = connect()
    const shop = replier({ connection, sessionTimeout: 300, heartbeatInterval: 30, drainTimeout: 0 })
    shop.handle(pay, (order) => `${order} by ${handled.push(name)}`, {
      useRecords: [idempotency({ store, lease })],
    })
    await shop.start()
    return () => connection.kill()
  }
  const kill = await begin('first', dying, 400)
  dying.fault = (step, when) => {
    if (step === 'renew') return died()
    if (step !== 'complete' || when !== 'before') return undefined
    kill()
    return died()
  }
  const asked = await asking.ask(text('tea'), keyed('order-1'))
  await until('it is handled', () => handled.length === 1)
  await begin('second', shared, 30_000)
  assert.equal((await asking.reply(asked)).text, 'tea by 2')
  assert.deepEqual(handled, ['first', 'second'])
})

test('a zombie cannot store its outcome over that of its successor, and answers with it', async (t) => {
  const { asking, replier } = await setUp(t)
  const store = memoryIdempotencyStore()
  const id = { scope: 'shop/pay', key: 'order-1' }
  const faulty = new FaultyStore(store)
  const payments = idempotency({ store: faulty, lease: 100 })
  const gates = new Gates()
  gates.shut('tea')
  const shop = replier()
  const handler = async (order: string): Promise<string> => {
    await gates.pass(order)
    return 'the zombie’s'
  }
  shop.handle(pay, handler, { useRecords: [payments] })
  await shop.start()
  faulty.fault = (step, when) => (step === 'renew' && when === 'before' ? away() : undefined)
  const asked = await asking.ask(text('tea'), keyed('order-1'))
  await gates.hasBegun('tea')
  // Another process, after its lease.
  const { fingerprintOf } = await import('../src/idempotency/key.ts')
  const claiming = {
    fingerprint: fingerprintOf('pay', text('tea')),
    owner: 'next',
    lease: 60_000,
    ttl: 60_000,
  }
  let token: number | undefined
  await until('its lease is over', () => {
    void store.claim(id, claiming).then((claim) => {
      if (claim.kind === 'claimed') token = claim.token
    })
    return token !== undefined
  })
  gates.open('tea')
  await until('it is fenced', () => payments.stats().fenced === 1)
  assert.deepEqual(asking.repliesTo(asked), [], 'its successor is still at work')
  await store.complete(id, token!, { kind: 'reply', value: text('the successor’s'), headers: [] }, 60_000)
  assert.equal((await asking.reply(asked)).text, 'the successor’s')
  assert.deepEqual(gates.began, ['tea'])
})

test('while the store is away nothing is handled, and its partition says so', async (t) => {
  const { asking, replier } = await setUp(t)
  const store = new FaultyStore(memoryIdempotencyStore())
  const handled: string[] = []
  const shop = replier()
  shop.handle(pay, (order) => `${handled.push(order)}`, { useRecords: [idempotency({ store })] })
  await shop.start()
  let isAway = true
  store.fault = (step) => (isAway && step === 'claim' ? away() : undefined)
  const asked = await asking.ask(text('tea'), keyed('order-1'))
  await until('the partition stands still', () => shop.health().stopped.length === 1)
  assert.match(String(shop.health().stopped[0]?.error), /the store is away/)
  assert.deepEqual(handled, [])
  isAway = false
  assert.equal((await asking.reply(asked)).text, '1')
})

test('an outcome that cannot be stored is kept, and told once it is; its handler is not run again', async (t) => {
  for (const when of ['before', 'after'] as const) {
    const { asking, replier } = await setUp(t)
    const store = new FaultyStore(memoryIdempotencyStore())
    const payments = idempotency({ store })
    const handled: string[] = []
    const shop = replier()
    shop.handle(pay, (order) => `${order} ${handled.push(order)}`, { useRecords: [payments] })
    await shop.start()
    let isAway = true
    store.fault = (step, now) => (isAway && step === 'complete' && now === when ? away() : undefined)
    const asked = await asking.ask(text('tea'), keyed('order-1'))
    // Longer than the partition's first pause: its record has had its turn again by then.
    await until('it was tried again', () => store.steps.filter((step) => step === 'complete').length > 4)
    assert.equal(shop.health().stopped.length, 1, 'its partition stands still until it is stored')
    assert.equal(payments.stats().unsettled, 1)
    assert.deepEqual(asking.repliesTo(asked), [], 'nothing is promised that is not stored')
    isAway = false
    assert.equal((await asking.reply(asked)).text, 'tea 1')
    assert.deepEqual(handled, ['tea'])
    assert.equal(payments.stats().unsettled, 0)
  }
})

/** A store whose transactions are a list that is taken over at the commit. */
function transactional(effects: string[]): IdempotencyStore<{ readonly ledger: string[] }> {
  const store = memoryIdempotencyStore()
  return {
    claim: (...given) => store.claim(...given),
    renew: (...given) => store.renew(...given),
    complete: (...given) => store.complete(...given),
    release: (...given) => store.release(...given),
    find: (...given) => store.find(...given),
    begin: async (): Promise<IdempotencyTransaction<{ readonly ledger: string[] }>> => {
      const ledger: string[] = []
      return {
        added: { ledger },
        complete: async (...given) => {
          const result = await store.complete(...given)
          if (result === 'completed') effects.push(...ledger.splice(0))
          return result
        },
        rollback: async () => void ledger.splice(0),
      }
    },
  }
}

test('in a transaction effect and stored outcome are there together, or not at all', async (t) => {
  const { asking, replier } = await setUp(t)
  const effects: string[] = []
  const store = new FaultyStore(transactional(effects))
  const shop = replier()
  shop.handle(
    pay,
    (order, { ledger }) => {
      ledger.push(order)
      if (order === 'declined') throw new ReplyError('DECLINED', 'not today')
      if (order === 'done') throw new ReplyError('DONE', 'and then some', { effect: 'done' })
      return order
    },
    { useRecords: [idempotency({ store, lease: 200 })] },
  )
  await shop.start()
  assert.equal((await asking.answerTo(text('tea'), keyed('1'))).text, 'tea')
  assert.equal((await asking.answerTo(text('declined'), keyed('2'))).error?.code, 'DECLINED')
  assert.equal((await asking.answerTo(text('done'), keyed('3'))).error?.code, 'DONE')
  assert.deepEqual(effects, ['tea', 'done'])
  // The commit is lost, or its answer: either way it is there once.
  for (const [key, when] of [
    ['4', 'before'],
    ['5', 'after'],
  ] as const) {
    let failures = 0
    store.fault = (step, now) => (step === 'commit' && now === when && failures++ === 0 ? away() : undefined)
    assert.equal((await asking.answerTo(text(when), keyed(key))).text, when)
    assert.equal(failures > 0, true)
  }
  assert.deepEqual(effects, ['tea', 'done', 'before', 'after'])
})

test('a failed transaction leaves nothing, and its failure is stored all the same', async (t) => {
  const { asking, replier } = await setUp(t)
  const effects: string[] = []
  let handled = 0
  const shop = replier()
  shop.handle(
    pay,
    (order, { ledger }) => {
      ledger.push(order)
      handled++
      throw new Error('a fault')
    },
    { useRecords: [idempotency({ store: transactional(effects) })] },
  )
  await shop.start()
  for (let i = 0; i < 2; i++)
    assert.equal((await asking.answerTo(text('tea'), keyed('1'))).error?.code, 'MILENA_HANDLER_FAILED')
  assert.equal(handled, 1)
  assert.deepEqual(effects, [])
})

test('a handler that outlasts its limit stores its reply all the same', async (t) => {
  const { asking, replier } = await setUp(t)
  const gates = new Gates()
  gates.shut('tea')
  const shop = replier({ handlerTimeout: 50 })
  const handler = async (order: string): Promise<string> => {
    await gates.pass(order)
    return `${order} ${gates.began.length}`
  }
  shop.handle(pay, handler, { useRecords: [idempotency({ store: memoryIdempotencyStore() })] })
  await shop.start()
  const asked = await asking.ask(text('tea'), keyed('order-1'))
  assert.equal((await asking.reply(asked)).error?.code, 'MILENA_HANDLER_TIMEOUT')
  gates.open('tea')
  await asking.conditions.until('its reply comes late', () => asking.repliesTo(asked).length === 2)
  assert.equal((await asking.answerTo(text('tea'), keyed('order-1'))).text, 'tea 1')
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
