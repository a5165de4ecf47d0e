/** Handlers that do not end: what they hold, what is told, and what goes on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { remoteCodes } from '../src/errors.ts'
import { Gates, until } from './asking.ts'
import { ManualClock } from './manual-clock.ts'
import { echo, setUp } from './replying.ts'

test('handlerTimeout: an error reply, the signal fires, the record is finished; the key waits for the handler', async (t) => {
  const { replier, asking, warned, committed } = await setUp(t)
  const clock = new ManualClock()
  const gates = new Gates()
  gates.shut('a1')
  let reason: unknown
  const worker = replier({ clock, commitInterval: 0, concurrency: 2, handlerTimeout: 5_000 })
  worker.handle(echo, async (request, { signal }) => {
    signal.addEventListener('abort', () => (reason = signal.reason))
    await gates.pass(request)
    return request
  })
  await worker.start()
  const slow = await asking.ask('a1', { key: 'a' })
  const behind = await asking.ask('a2', { key: 'a' })
  await gates.hasBegun('a1')
  await clock.advance(4_999)
  assert.equal(asking.repliesTo(slow).length, 0)
  await clock.advance(1)
  const { error } = await asking.reply(slow)
  assert.equal(error?.code, remoteCodes.handlerTimeout)
  assert.equal((reason as DOMException).name, 'TimeoutError')
  await clock.advance(1)
  assert.equal(committed(), 1)
  assert.deepEqual(gates.began, ['a1'])
  assert.equal(worker.stats().running, 1)
  assert.equal(asking.repliesTo(behind).length, 0)
  assert.equal(
    warned[0]?.message,
    'a handler has not ended in time and its request is answered with an error',
  )
  assert.equal(warned[0]?.details.key, 'a')
  gates.open('a1')
  await asking.reply(behind)
  await until('what it gave in the end is sent too', () => asking.repliesTo(slow).length === 2)
  assert.equal(asking.repliesTo(slow)[1]!.text, 'a1')
  assert.equal(worker.stats().running, 0)
})

test('handlerTimeout of the operation is the one that counts', async (t) => {
  const { replier, asking } = await setUp(t)
  const clock = new ManualClock()
  const worker = replier({ clock, handlerTimeout: 60_000 })
  worker.handle(echo, () => new Promise<string>(() => {}), { handlerTimeout: 100 })
  await worker.start()
  const asked = await asking.ask('x')
  await until('it runs', () => worker.stats().running === 1)
  await clock.advance(100)
  assert.equal((await asking.reply(asked)).error?.code, remoteCodes.handlerTimeout)
})

test('leaveBehind: at handlerTimeout the key and the slot go on', async (t) => {
  const { replier, asking } = await setUp(t)
  const clock = new ManualClock()
  const gates = new Gates()
  gates.shut('a1')
  const worker = replier({ clock, concurrency: 1 })
  worker.handle(
    echo,
    async (request) => {
      await gates.pass(request)
      return request
    },
    { handlerTimeout: 1_000, leaveBehind: true },
  )
  await worker.start()
  await asking.ask('a1', { key: 'a' })
  const behind = await asking.ask('a2', { key: 'a' })
  await gates.hasBegun('a1')
  await clock.advance(1_000)
  assert.equal((await asking.reply(behind)).text, 'a2')
  assert.equal(worker.health().leftBehind, 1)
  assert.equal(worker.health().slotsTaken, 0)
  assert.equal(worker.stats().leftBehind, 1)
  gates.open('a1')
  await until('none is left behind', () => worker.health().leftBehind === 0)
  assert.equal(worker.stats().running, 0)
})

test("leaveBehind: once the caller's deadline has passed, too; the record still waits for its handler", async (t) => {
  const { replier, asking, committed } = await setUp(t)
  const clock = new ManualClock()
  const gates = new Gates()
  gates.shut('a1')
  const worker = replier({ clock, concurrency: 1, commitInterval: 0, clockTolerance: 0 })
  worker.handle(
    echo,
    async (request) => {
      await gates.pass(request)
      return request
    },
    { leaveBehind: true },
  )
  await worker.start()
  const slow = await asking.ask('a1', { key: 'a', deadline: clock.now() + 2_000 })
  const behind = await asking.ask('a2', { key: 'a' })
  await gates.hasBegun('a1')
  await clock.advance(1_999)
  assert.equal(worker.health().leftBehind, 0)
  await clock.advance(1)
  await asking.reply(behind)
  await clock.advance(1)
  assert.equal(asking.repliesTo(slow).length, 0)
  assert.equal(committed(), 0)
  gates.open('a1')
  await asking.reply(slow)
  await clock.advance(1)
  assert.equal(committed(), 2)
})

test('at most as many handlers are left behind as may run', async (t) => {
  const { replier, asking } = await setUp(t)
  const clock = new ManualClock()
  const worker = replier({ clock, concurrency: 2 })
  worker.handle(echo, () => new Promise<string>(() => {}), { handlerTimeout: 1_000, leaveBehind: true })
  await worker.start()
  for (let i = 0; i < 6; i++) await asking.ask(`x${i}`)
  for (let round = 0; round < 4; round++) {
    await clock.advance(1_000)
    assert.ok(worker.health().leftBehind <= 2)
  }
  assert.deepEqual(
    { left: worker.health().leftBehind, slots: worker.health().slotsTaken, inHand: worker.stats().inHand },
    { left: 2, slots: 2, inHand: 2 },
  )
})

test('a handler that runs for long, and slots that do not become free, are told; the oldest is shown', async (t) => {
  const { replier, asking, warned } = await setUp(t)
  const clock = new ManualClock()
  const worker = replier({ clock, concurrency: 2, slowAfter: 10_000 })
  worker.handle(echo, (request) => (request === 'free' ? request : new Promise<string>(() => {})))
  await worker.start()
  await asking.ask('a', { key: 'order-1\n\u001b[31m' })
  await until('it runs', () => worker.stats().running === 1)
  await clock.advance(9_999)
  assert.equal(warned.length, 0)
  const { oldestInHand } = worker.stats()
  assert.deepEqual(oldestInHand, {
    operation: 'echo',
    key: 'order-1\\u000a\\u001b[31m',
    position: { topic: 'shop_request', partition: 0, offset: 0 },
    age: 9_999,
    running: 9_999,
  })
  await clock.advance(1_000)
  assert.equal(warned.length, 1)
  assert.equal(warned[0]!.message, 'a handler has been running for long')
  assert.equal(warned[0]!.details.operation, 'echo')
  await asking.ask('b')
  await until('both run', () => worker.stats().running === 2)
  await clock.advance(30_000)
  const messages = warned.map(({ message }) => message)
  assert.equal(messages.filter((message) => message.includes('all slots')).length, 1)
  assert.equal(messages.filter((message) => message === 'a handler has been running for long').length, 2)
})
