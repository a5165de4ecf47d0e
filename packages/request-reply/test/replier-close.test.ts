/** What becomes of requests when a replier closes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReplyError } from '../src/errors.ts'
import { CountingClock, gated, Gates, until } from './asking.ts'
import { echo, setUp } from './replying.ts'

test('close waits for running handlers and their replies, commits them, and begins nothing new', async (t) => {
  const { replier, asking, committed } = await setUp(t)
  const gates = new Gates()
  gates.shut('a', 'b')
  const worker = replier({ commitInterval: 3_600_000, concurrency: 2 })
  worker.handle(echo, gated(gates))
  await worker.start()
  const asked = [await asking.ask('a'), await asking.ask('b'), await asking.ask('c')]
  await gates.hasBegun('a', 'b')
  await until('c waits', () => worker.stats().inHand === 3)
  let closed = false
  const closing = worker.close().then(() => (closed = true))
  await asking.ask('d')
  gates.open('a')
  await asking.reply(asked[0]!)
  assert.equal(closed, false)
  gates.open('b')
  await closing
  assert.deepEqual(gates.began, ['a', 'b'])
  assert.equal(asking.repliesTo(asked[1]!).length, 1)
  assert.equal(committed(), 2)
})

test('close handles what lies below a request that was answered, so that none is answered twice', async (t) => {
  const { replier, asking, committed } = await setUp(t)
  const gates = new Gates()
  gates.shut('a1')
  const worker = replier({ commitInterval: 3_600_000 })
  worker.handle(echo, gated(gates))
  await worker.start()
  await asking.ask('a1', { key: 'a' })
  const gap = await asking.ask('a2', { key: 'a' })
  const above = await asking.answerTo('b1', { key: 'b' })
  const left = await asking.ask('a3', { key: 'a' })
  await until('all are in hand', () => worker.stats().inHand === 3)
  const closing = worker.close()
  gates.open('a1')
  await closing
  assert.equal(above.text, 'b1')
  assert.equal(asking.repliesTo(gap).length, 1)
  assert.equal(asking.repliesTo(left).length, 0)
  assert.equal(committed(), 3)
})

test('close ends within its bound though a handler does not; the request is handled again', async (t) => {
  const { replier, asking, warned, committed } = await setUp(t)
  const gates = new Gates()
  gates.shut('stuck')
  const worker = replier()
  let reason: unknown
  worker.handle(echo, (request, { signal }) => {
    signal.addEventListener('abort', () => (reason = signal.reason))
    return gated(gates)(request)
  })
  await worker.start()
  await asking.answerTo('done', { key: 'd' })
  const stuck = await asking.ask('stuck', { key: 's' })
  await gates.hasBegun('stuck')
  await worker.close({ timeout: 20 })
  assert.equal((reason as { code?: string }).code, 'MILENA_CLOSED')
  assert.equal(committed(), 1)
  assert.match(warned[0]!.message, /did not end in time/)
  const next = replier()
  next.handle(echo, () => 'by the next')
  await next.start()
  assert.equal((await asking.reply(stuck)).text, 'by the next')
  gates.open('stuck')
})

test('a handler that stops because it was told to is not answered with an error', async (t) => {
  const { replier, asking, warned } = await setUp(t)
  const gates = new Gates()
  const worker = replier()
  worker.handle(echo, async (request, { signal }) => {
    await gates.pass(request)
    return new Promise((_resolve, reject) =>
      signal.addEventListener('abort', () => reject(new ReplyError('STOPPED', 'stopped'))),
    )
  })
  await worker.start()
  const asked = await asking.ask('x')
  await gates.hasBegun('x')
  await worker.close({ timeout: 10 })
  const next = replier()
  next.handle(echo, () => 'by the next')
  await next.start()
  assert.equal((await asking.reply(asked)).text, 'by the next')
  assert.equal(asking.repliesTo(asked).length, 1)
  assert.equal(
    warned.some(({ message }) => message === 'a handler failed'),
    false,
  )
})

test('close can be called at any time and more than once, and start is refused after it', async (t) => {
  const { replier } = await setUp(t)
  const worker = replier()
  worker.handle(echo, (request) => request)
  const starting = worker.start()
  await Promise.all([worker.close(), worker.close(), starting.catch(() => undefined)])
  await assert.rejects(worker.start(), { code: 'MILENA_CLOSED' })
  assert.equal(worker.stats().partitions, 0)
  await replier().close()
  await using unstarted = replier()
  assert.equal(unstarted.stats().received, 0)
})

for (const timeout of [-1, Number.NaN, '5' as never]) {
  test(`close({ timeout: ${timeout} }) is refused`, async (t) => {
    const { replier } = await setUp(t)
    await assert.rejects(replier().close({ timeout }), { code: 'MILENA_OPTIONS_INVALID' })
  })
}

test('close({ timeout: Infinity }) waits for a handler however long it takes, and needs no timer for that', async (t) => {
  const { replier, asking, committed, warned } = await setUp(t)
  const gates = new Gates()
  gates.shut('slow')
  const clock = new CountingClock()
  const worker = replier({ clock })
  worker.handle(echo, gated(gates))
  await worker.start()
  const slow = await asking.ask('slow')
  await gates.hasBegun('slow')
  let closed = false
  const closing = worker.close({ timeout: Number.POSITIVE_INFINITY }).then(() => (closed = true))
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(closed, false)
  gates.open('slow')
  await closing
  assert.equal(asking.repliesTo(slow).length, 1)
  assert.equal(committed(), 1)
  assert.deepEqual(warned, [])
})

test('closed while it joins, a replier leaves no member behind', async (t) => {
  const { replier, connect, broker, asking } = await setUp(t)
  const connection = connect({ latency: 20 })
  const first = replier({ connection, sessionTimeout: 3_600_000 })
  first.handle(echo, (request) => request)
  const starting = first.start()
  const refused = assert.rejects(starting, { code: 'MILENA_CLOSED' })
  await until(
    'it is about to be given partitions',
    () => broker.owner('shop', { topic: 'shop_request', partition: 0 }) !== undefined,
  )
  await first.close()
  await refused
  const second = replier()
  second.handle(echo, () => 'by the second')
  await second.start()
  assert.equal((await asking.answerTo('x')).text, 'by the second')
})

test('closed while it looks for its topics, a replier is closed at once', async (t) => {
  const { replier, connect } = await setUp(t)
  const connection = connect()
  connection.describeTopics = () => new Promise(() => {})
  const worker = replier({ connection })
  worker.handle(echo, (request) => request)
  const refused = assert.rejects(worker.start(), { code: 'MILENA_CLOSED' })
  await worker.close()
  await refused
})

test('a shared transport that was closed first: close does not wait for handlers whose replies could not be sent', async (t) => {
  const { replier, asking, connect } = await setUp(t)
  const connection = connect()
  const gates = new Gates()
  gates.shut('slow')
  const worker = replier({ connection, drainTimeout: 3_600_000 })
  worker.handle(echo, gated(gates))
  await worker.start()
  await asking.ask('slow')
  await gates.hasBegun('slow')
  await connection.close()
  assert.equal(worker.health().joined, false)
  await worker.close()
  gates.open('slow')
})

test('a reply that cannot be sent does not hold up close beyond its bound, and is not committed', async (t) => {
  const { replier, asking, broker, committed } = await setUp(t)
  broker.faults = { send: (record) => (record.topic === 'shop_reply' ? { fate: 'not-sent' } : undefined) }
  const worker = replier()
  worker.handle(echo, (request) => request)
  await worker.start()
  const asked = await asking.ask('x')
  await until('it is handled', () => worker.stats().handled === 1)
  await worker.close({ timeout: 20 })
  assert.equal(committed(), 0)
  broker.faults = {}
  const next = replier()
  next.handle(echo, () => 'by the next')
  await next.start()
  assert.equal((await asking.reply(asked)).text, 'by the next')
})

test('close leaves no timer behind, though replies could not be sent and handlers still run', async (t) => {
  const { replier, asking, broker } = await setUp(t)
  broker.faults = { send: (record) => (record.topic === 'shop_reply' ? { fate: 'not-sent' } : undefined) }
  const clock = new CountingClock()
  const gates = new Gates()
  gates.shut('stuck')
  const worker = replier({ clock })
  worker.handle(echo, (request, { signal }) => {
    assert.equal(signal.aborted, false)
    return gated(gates)(request)
  })
  await worker.start()
  await asking.ask('unsent')
  await asking.ask('stuck', { deadline: Date.now() + 3_600_000 })
  await gates.hasBegun('unsent', 'stuck')
  await until('a reply waits to be sent again', () => clock.timers.size >= 2)
  await worker.close({ timeout: 5 })
  assert.equal(clock.timers.size, 0)
  gates.open('stuck')
})
