import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Gates, until } from './asking.ts'
import { echo, setUp } from './replying.ts'

test('requests of one key are handled one after the other, in the order in which they were sent', async (t) => {
  const { replier, asking } = await setUp(t)
  const gates = new Gates()
  const worker = replier()
  worker.handle(echo, async (request) => {
    await gates.pass(request)
    await new Promise((resolve) => setImmediate(resolve))
    return request
  })
  await worker.start()
  const asked = []
  for (let i = 0; i < 60; i++) asked.push(await asking.ask(`${i % 3}:${i}`, { key: `k${i % 3}` }))
  await Promise.all(asked.map((one) => asking.reply(one)))
  for (const key of ['0', '1', '2']) {
    const ofKey = gates.began
      .filter((name) => name.startsWith(`${key}:`))
      .map((name) => Number(name.slice(2)))
    assert.deepEqual(
      ofKey,
      ofKey.toSorted((a, b) => a - b),
    )
  }
})

test('the next request of a key begins only when the one before has ended', async (t) => {
  const { replier, asking } = await setUp(t)
  const gates = new Gates()
  gates.shut('a1')
  const worker = replier()
  worker.handle(echo, async (request) => {
    await gates.pass(request)
    return request
  })
  await worker.start()
  await asking.ask('a1', { key: 'a' })
  const second = await asking.ask('a2', { key: 'a' })
  await asking.answerTo('b1', { key: 'b' })
  assert.deepEqual(gates.began, ['a1', 'b1'])
  gates.open('a1')
  await asking.reply(second)
  assert.deepEqual(gates.ended, ['b1', 'a1', 'a2'])
})

test('a slow key delays neither other keys of its partition nor requests without a key', async (t) => {
  const { replier, asking } = await setUp(t)
  const gates = new Gates()
  gates.shut('slow')
  const worker = replier({ concurrency: 2 })
  worker.handle(echo, async (request) => {
    await gates.pass(request)
    return request
  })
  await worker.start()
  const slow = await asking.ask('slow', { key: 'slow' })
  for (let i = 0; i < 10; i++) await asking.ask(`behind ${i}`, { key: 'slow' })
  for (let i = 0; i < 10; i++) {
    assert.equal((await asking.answerTo(`other ${i}`, { key: `k${i}` })).text, `other ${i}`)
    assert.equal((await asking.answerTo(`free ${i}`)).text, `free ${i}`)
  }
  assert.deepEqual(
    gates.began.filter((name) => name.startsWith('behind')),
    [],
  )
  gates.open('slow')
  await asking.reply(slow)
})

test('requests without a key are handled at once, as many as concurrency allows', async (t) => {
  const { replier, asking } = await setUp(t, 2)
  const gates = new Gates()
  gates.shut('0', '1', '2', '3', '4')
  const worker = replier({ concurrency: 3 })
  worker.handle(echo, async (request) => {
    await gates.pass(request)
    return request
  })
  await worker.start()
  const asked = []
  for (let i = 0; i < 5; i++) asked.push(await asking.ask(String(i), { partition: i % 2 }))
  await until('three are running and all have been read', () => {
    const { running, inHand } = worker.stats()
    return running === 3 && inHand === 5
  })
  assert.equal(gates.began.length, 3)
  gates.open('0', '1', '2', '3', '4')
  await Promise.all(asked.map((one) => asking.reply(one)))
  assert.equal(gates.most, 3)
})

test('reading stops when too much is in hand, and goes on when there is room; nothing is lost', async (t) => {
  const { replier, asking, committed } = await setUp(t, 2)
  const gates = new Gates()
  gates.shut('0')
  const worker = replier({ maxInHand: 10 })
  worker.handle(echo, async (request) => {
    await gates.pass(request)
    return request
  })
  await worker.start()
  const asked = [await asking.ask('0', { key: 'k', partition: 0 })]
  await gates.hasBegun('0')
  for (let i = 1; i < 200; i++) asked.push(await asking.ask(String(i), { key: 'k', partition: 0 }))
  await until('reading is paused', () => worker.stats().paused === 1)
  // By the time that these have come and gone, the others would have been read too.
  for (let i = 0; i < 5; i++) await asking.answerTo('elsewhere', { partition: 1 })
  const { inHand } = worker.stats()
  assert.ok(inHand < 50, `${inHand} are in hand`)
  gates.open('0')
  await Promise.all(asked.map((one) => asking.reply(one)))
  await until('all is committed', () => committed(0) === 200)
  assert.equal(worker.stats().paused, 0)
})

test('a partition that is full of one slow key does not stop another partition', async (t) => {
  const { replier, asking } = await setUp(t, 2)
  const gates = new Gates()
  gates.shut('slow')
  const worker = replier({ maxInHand: 10 })
  worker.handle(echo, async (request) => {
    await gates.pass(request)
    return request
  })
  await worker.start()
  await asking.ask('slow', { partition: 0, key: 'k' })
  await gates.hasBegun('slow')
  for (let i = 0; i < 40; i++) await asking.ask(`behind ${i}`, { partition: 0, key: 'k' })
  await until('it is paused', () => worker.stats().paused === 1)
  for (let i = 0; i < 20; i++) await asking.answerTo(`free ${i}`, { partition: 1 })
  gates.open('slow')
})
