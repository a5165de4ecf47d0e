/** Who is at work on a key: waiting for it, its lease, and a store that is away. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { idempotency } from '../src/idempotency/idempotency.ts'
import { memoryIdempotencyStore } from '../src/idempotency/memory-store.ts'
import type { IdempotencyStore } from '../src/idempotency/store.ts'
import { Gates, until } from './asking.ts'
import { away, died, FaultyStore } from './idempotency-faults.ts'
import { keyed, pay, text } from './keyed.ts'
import { ManualClock } from './manual-clock.ts'
import { setUp } from './replying.ts'

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
