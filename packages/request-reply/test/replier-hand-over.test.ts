/** What becomes of requests when a replier crashes, or loses a partition. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Asked, gated, Gates, until } from './asking.ts'
import { type Bench, echo, setUp } from './replying.ts'

test('killed between reply and commit: the request comes again, and nothing is lost', async (t) => {
  const { replier, asking, connect, committed } = await setUp(t)
  const connection = connect()
  const first = replier({ connection, commitInterval: 3_600_000, sessionTimeout: 50, heartbeatInterval: 10 })
  first.handle(echo, (request) => request)
  await first.start()
  const asked = await asking.ask('x')
  await asking.reply(asked)
  await until('the reply is acknowledged', () => first.stats().replied === 1)
  connection.kill()
  assert.equal(committed(), 0)
  const second = replier()
  second.handle(echo, (request) => request)
  await second.start()
  await until('it is answered a second time', () => asking.repliesTo(asked).length === 2)
  await until('it is committed', () => committed() === 1)
})

test('killed while a handler runs: another replier does the work', async (t) => {
  const { replier, asking, connect } = await setUp(t)
  const connection = connect()
  const gates = new Gates()
  gates.shut('x')
  const first = replier({ connection, sessionTimeout: 50, heartbeatInterval: 10 })
  first.handle(echo, gated(gates))
  await first.start()
  const asked = await asking.ask('x')
  await gates.hasBegun('x')
  connection.kill()
  const second = replier()
  second.handle(echo, () => 'from the second')
  await second.start()
  assert.equal((await asking.reply(asked)).text, 'from the second')
  gates.open('x')
})

test('a partition is taken over when what has begun is answered and committed: nothing twice, nothing lost', async (t) => {
  const { replier, asking } = await setUp(t, 4)
  const order = new Map<string, number[]>()
  const start = async (): Promise<ReturnType<Bench['replier']>> => {
    const worker = replier({ commitInterval: 20, concurrency: 8 })
    worker.handle(echo, async (request) => {
      const [key, number] = request.split(':') as [string, string]
      order.set(key, [...(order.get(key) ?? []), Number(number)])
      await new Promise((resolve) => setTimeout(resolve, Number(number) % 4))
      return request
    })
    await worker.start()
    return worker
  }
  const first = await start()
  const asked: Asked[] = []
  const load = { on: true }
  const loading = (async () => {
    for (let i = 0; load.on; i++) {
      asked.push(await asking.ask(`k${i % 12}:${i}`, { key: `k${i % 12}`, partition: i % 4 }))
      if (i % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    }
  })()
  await until('the first works', () => first.stats().replied > 50)
  const second = await start()
  await until('the second works', () => second.stats().replied > 50)
  const third = await start()
  await until('the third works', () => third.stats().replied > 50)
  await second.close()
  const { replied } = third.stats()
  await until('it goes on', () => third.stats().replied > replied + 50)
  await first.close()
  await until('it goes on alone', () => third.stats().partitions === 4)
  load.on = false
  await loading
  await Promise.all(asked.map((one) => asking.reply(one)))
  assert.deepEqual(
    asked.filter((one) => asking.repliesTo(one).length !== 1),
    [],
  )
  for (const numbers of order.values()) {
    assert.deepEqual(
      numbers,
      numbers.toSorted((a, b) => a - b),
    )
  }
})

test('when a partition was lost, a running handler still answers, but its request is not committed by it', async (t) => {
  const { replier, asking, connect, committed, broker } = await setUp(t)
  const connection = connect()
  const gates = new Gates()
  gates.shut('x')
  const worker = replier({ connection, sessionTimeout: 30, heartbeatInterval: 10 })
  let runs = 0
  let aborted = false
  worker.handle(echo, async (request, { signal }) => {
    const run = ++runs
    signal.addEventListener('abort', () => (aborted = true))
    if (run === 1) await gates.pass(request)
    return `run ${run}`
  })
  await worker.start()
  const asked = await asking.ask('x', { key: 'k' })
  await gates.hasBegun('x')
  connection.disconnect(100)
  await until('the handler is told', () => aborted)
  await until('the partition is back and the request too', () => worker.stats().redelivered === 1)
  // The second run of the key waits for the first.
  assert.equal(runs, 1)
  assert.equal(committed(), 0)
  gates.open('x')
  await asking.reply(asked)
  // Its second run is none: this process knows that it was answered.
  await until('it is committed', () => committed() === 1)
  assert.equal(broker.records('shop_request').length, 1)
  assert.equal(runs, 1)
  assert.deepEqual(
    asking.repliesTo(asked).map(({ text }) => text),
    ['run 1'],
  )
  assert.equal(worker.stats().repeated, 1)
})

test('while a slow handler holds a partition that is to move, other keys of it go on, and it is handed over when it has ended', async (t) => {
  const { replier, asking, broker } = await setUp(t, 2)
  const gates = new Gates()
  gates.shut('slow 0', 'slow 1')
  const start = async (): Promise<ReturnType<Bench['replier']>> => {
    const worker = replier({ commitInterval: 1 })
    worker.handle(echo, gated(gates))
    await worker.start()
    return worker
  }
  const first = await start()
  const slow = [0, 1].map((partition) => asking.ask(`slow ${partition}`, { key: 'slow', partition }))
  await gates.hasBegun('slow 0', 'slow 1')
  const second = await start()
  const moving = (): number =>
    [0, 1].filter((partition) => broker.owner('shop', { topic: 'shop_request', partition })?.epoch === 3)
      .length
  await asking.answerTo('before', { key: 'x', partition: 0 })
  await asking.answerTo('before', { key: 'x', partition: 1 })
  // Each is read after the partition's revocation, by the one that still has it.
  for (let i = 0; i < 20; i++) {
    await asking.answerTo(`${i}`, { key: `k${i}`, partition: i % 2 })
    assert.equal(first.stats().partitions, 2)
  }
  assert.equal(second.stats().partitions, 0)
  assert.equal(moving(), 0)
  gates.open('slow 0', 'slow 1')
  for (const asked of slow)
    assert.equal(asking.repliesTo((await asking.reply(await asked), await asked)).length, 1)
  await until('one has moved', () => second.stats().partitions === 1)
  assert.equal(second.stats().received, 0)
})

test('a partition whose slow handler does not end is handed over within the drain timeout', async (t) => {
  const { replier, asking } = await setUp(t, 2)
  const gates = new Gates()
  gates.shut('slow 0', 'slow 1')
  const start = async (): Promise<ReturnType<Bench['replier']>> => {
    const worker = replier({ commitInterval: 1, drainTimeout: 200 })
    worker.handle(echo, gated(gates))
    await worker.start()
    return worker
  }
  const first = await start()
  for (const partition of [0, 1]) await asking.ask(`slow ${partition}`, { key: 'slow', partition })
  await gates.hasBegun('slow 0', 'slow 1')
  const second = await start()
  await until('one has moved', () => second.stats().partitions === 1)
  assert.equal(first.stats().partitions, 1)
  gates.open('slow 0', 'slow 1')
})
