/** What becomes of requests when a replier closes, crashes, loses a partition, or cannot send a reply at once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReplyError } from '../src/errors.ts'
import { CountingClock, Gates, until, type Asked } from './asking.ts'
import { echo, setUp, type Bench } from './replying.ts'

const gated =
  (gates: Gates) =>
  async (request: string): Promise<string> => {
    await gates.pass(request)
    return request
  }

test('a reply is acknowledged before its request is committed', async (t) => {
  const { replier, asking, broker, committed } = await setUp(t)
  let acknowledged = false
  broker.faults = {
    send: (record) => (record.topic === 'shop_reply' ? { ackDelay: 40 } : undefined),
  }
  const worker = replier({ commitInterval: 0 })
  worker.handle(echo, (request) => request)
  await worker.start()
  await asking.reply(await asking.ask('x'))
  // The reply is in the log, and its acknowledgement is under way.
  assert.equal(worker.stats().replied, 0)
  assert.equal(committed(), 0)
  await until('it is committed', () => {
    acknowledged ||= worker.stats().replied === 1
    return committed() === 1
  })
  assert.equal(acknowledged, true)
})

test('a commit never passes a request that is not finished', async (t) => {
  const { replier, asking, committed } = await setUp(t)
  const gates = new Gates()
  gates.shut('slow')
  const worker = replier({ commitInterval: 0 })
  worker.handle(echo, gated(gates))
  await worker.start()
  await asking.answerTo('a', { key: 'a' })
  const slow = await asking.ask('slow', { key: 'slow' })
  for (const name of ['b', 'c', 'd']) await asking.answerTo(name, { key: name })
  await until('the first is committed', () => committed() > 0)
  assert.equal(committed(), 1)
  gates.open('slow')
  await asking.reply(slow)
  await until('all are committed', () => committed() === 5)
})

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

for (const fate of ['not-sent', 'unknown'] as const) {
  test(`a reply whose sending ends as ${fate} is sent again`, async (t) => {
    const { replier, asking, broker, committed } = await setUp(t)
    let attempts = 0
    broker.faults = {
      send(record) {
        if (record.topic !== 'shop_reply') return undefined
        return attempts++ < 2 ? { fate } : undefined
      },
    }
    const worker = replier()
    worker.handle(echo, (request) => request)
    await worker.start()
    const asked = await asking.ask('x')
    assert.equal((await asking.reply(asked)).text, 'x')
    assert.equal(attempts, 3)
    await until('it is committed', () => committed() === 1)
    assert.equal(worker.stats().handled, 1)
  })
}

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

test('an answered request leaves no timer behind', async (t) => {
  const { replier, asking } = await setUp(t)
  const clock = new CountingClock()
  const worker = replier({ clock })
  worker.handle(echo, (request, { signal }) => `${request} ${signal.aborted}`)
  await worker.start()
  assert.equal((await asking.answerTo('x', { deadline: Date.now() + 3_600_000 })).text, 'x false')
  await until('it is committed', () => worker.stats().committed === 1)
  await until('the last look at what takes long was the last', () => clock.timers.size === 0)
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

test('commits are gathered: many requests, few commits', async (t) => {
  const { replier, asking, connect } = await setUp(t)
  const connection = connect()
  let commits = 0
  const join = connection.join.bind(connection)
  connection.join = async (options) => {
    const membership = await join(options)
    return {
      commit: (offsets) => (commits++, membership.commit(offsets)),
      pause: (at) => membership.pause(at),
      resume: (at) => membership.resume(at),
      troubles: () => membership.troubles(),
      close: () => membership.close(),
      [Symbol.asyncDispose]: () => membership.close(),
    }
  }
  const worker = replier({ connection, commitInterval: 50 })
  worker.handle(echo, (request) => request)
  await worker.start()
  const began = performance.now()
  await Promise.all(Array.from({ length: 200 }, (_, i) => asking.answerTo(String(i))))
  await until('all is committed', () => worker.stats().committed === 200)
  const most = Math.ceil((performance.now() - began) / 50) + 1
  assert.ok(commits >= 1 && commits <= most, `${commits} commits, at most ${most} are due`)
})

test('a commit that fails is made again', async (t) => {
  const { replier, asking, connect, committed, warned } = await setUp(t)
  const connection = connect()
  let failures = 2
  const join = connection.join.bind(connection)
  connection.join = async (options) => {
    const membership = await join(options)
    return {
      commit: (offsets) =>
        failures-- > 0 ? Promise.reject(new Error('no coordinator')) : membership.commit(offsets),
      pause: (at) => membership.pause(at),
      resume: (at) => membership.resume(at),
      troubles: () => membership.troubles(),
      close: () => membership.close(),
      [Symbol.asyncDispose]: () => membership.close(),
    }
  }
  const worker = replier({ connection })
  worker.handle(echo, (request) => request)
  await worker.start()
  await asking.answerTo('x')
  await until('it is committed', () => worker.stats().committed === 1)
  assert.equal(committed(), 1)
  assert.equal(warned.length, 1)
})
