/** A request is finished when its reply is acknowledged; then it is committed, with others, and again where that failed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CountingClock, gated, Gates, until } from './asking.ts'
import { echo, setUp } from './replying.ts'

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
