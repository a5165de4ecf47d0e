/** What a replier does with each outcome that a record can have. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { execute, replied } from './executing.ts'

test('done and handed over send nothing and are committed', async (t) => {
  const { ask, clock, committed, replies } = await execute(t, (value) => ({
    kind: value === 'a' ? 'done' : 'handed over',
  }))
  await ask('a')
  await ask('b')
  await clock.advance(1)
  assert.equal(committed(), 2)
  assert.deepEqual(replies(), [])
})

test('a one-way request that fails is passed over, and told', async (t) => {
  const { ask, clock, committed, counters, warned } = await execute(t, () => ({
    kind: 'error',
    code: 'NO_STOCK',
    message: 'none',
  }))
  await ask('one-way')
  await clock.advance(1)
  assert.equal(committed(), 1)
  assert.equal(counters.passedOver.get('failed-one-way'), 1)
  assert.equal(warned[0]?.details.detail, 'NO_STOCK: none')
})

test('later: the record begins again when its time has come, its key waits for it, and it holds no slot', async (t) => {
  const { ask, clock, tries, committed, replies, group } = await execute(
    t,
    (value, { attempt }) =>
      value === 'a1' && attempt < 3 ? { kind: 'later', notBefore: clock.now() + 5_000 } : replied(value),
    { concurrency: 1 },
  )
  await ask('a1', 'a')
  await ask('a2', 'a')
  await ask('b1', 'b')
  await clock.advance(4_999)
  assert.deepEqual(tries, ['a1#1', 'b1#1'])
  assert.equal(group.running, 0)
  assert.equal(committed(), 0)
  await clock.advance(1)
  assert.deepEqual(tries, ['a1#1', 'b1#1', 'a1#2'])
  await clock.advance(5_001)
  assert.deepEqual(tries, ['a1#1', 'b1#1', 'a1#2', 'a1#3', 'a2#1'])
  assert.deepEqual(replies(), ['b1', 'a1', 'a2'])
  assert.equal(committed(), 3)
})

test('stop: nothing of the partition begins, nothing is read, its state says why; others go on', async (t) => {
  let stopping = true
  const { ask, clock, tries, committed, group, warned } = await execute(
    t,
    (value) =>
      value === 'a' && stopping ? { kind: 'stop', error: new Error('the store is away') } : replied(value),
    { partitions: 2 },
  )
  const since = clock.now()
  await ask('a', 'a')
  await clock.advance(0)
  await ask('b', 'b')
  await ask('c', 'c', 1)
  await clock.advance(999)
  assert.deepEqual(tries, ['a#1', 'c#1'])
  assert.equal(committed(1), 1)
  assert.equal(group.inHand.records, 1, 'b is not read')
  const [stopped] = group.health.stopped
  assert.deepEqual(
    { ...stopped, error: stopped?.error?.message },
    { topic: 'shop_request', partition: 0, reason: 'outcome', since, error: 'the store is away' },
  )
  await clock.advance(1)
  assert.deepEqual(tries, ['a#1', 'c#1', 'a#2'])
  await clock.advance(1_999)
  assert.equal(tries.length, 3, 'the pause grows')
  await clock.advance(1)
  assert.deepEqual(tries.slice(3), ['a#3'])
  stopping = false
  await clock.advance(4_000)
  assert.deepEqual(tries.slice(4), ['a#4', 'b#1'])
  assert.deepEqual(group.health.stopped, [])
  await clock.advance(1)
  assert.equal(committed(), 2)
  assert.deepEqual(
    warned.map(({ message }) => message),
    ['a partition stands still', 'a partition goes on'],
  )
})

test('stop: the pause grows to 30 s and no further', async (t) => {
  const { ask, clock, tries } = await execute(t, () => ({ kind: 'stop', error: new Error('away') }))
  await ask('a')
  await clock.advance(1_000 + 2_000 + 4_000 + 8_000 + 16_000)
  assert.equal(tries.length, 6)
  await clock.advance(10 * 30_000)
  assert.equal(tries.length, 16)
})

test('stop: what was read and had not begun begins when the partition goes on, and only then', async (t) => {
  const release = Promise.withResolvers<void>()
  const { ask, clock, tries } = await execute(
    t,
    async (value, { attempt }) => {
      if (value === 'a' && attempt === 1) {
        await release.promise
        return { kind: 'stop', error: new Error('away') }
      }
      return replied(value)
    },
    { concurrency: 1 },
  )
  await ask('a', 'a')
  await ask('b', 'b')
  await ask('c', 'a')
  await clock.advance(0)
  release.resolve()
  await clock.advance(999)
  assert.deepEqual(tries, ['a#1'])
  await clock.advance(1)
  assert.deepEqual(tries.slice(0, 2), ['a#1', 'a#2'])
  await clock.advance(1)
  assert.deepEqual(tries.slice(2).toSorted(), ['b#1', 'c#1'])
})

test('beforeFinish: nothing is committed before it has gone through; it alone is tried again', async (t) => {
  let failing = true
  const finished: string[] = []
  const { ask, clock, tries, committed, replies, group } = await execute(t, (value) => replied(value), {
    beforeFinish: ({ offset, outcome, record }) => {
      finished.push(`${offset} ${outcome.kind} ${String(record?.value)}`)
      if (failing && offset === 0) throw new Error('the journal is away')
    },
  })
  await ask('a')
  await clock.advance(0)
  await ask('b')
  await clock.advance(500)
  assert.deepEqual(replies(), ['a'])
  assert.equal(committed(), 0)
  assert.equal(group.health.stopped[0]?.reason, 'before-finish')
  assert.equal(group.health.stopped[0]?.error?.message, 'the journal is away')
  failing = false
  await clock.advance(501)
  assert.deepEqual(tries, ['a#1', 'b#1'])
  assert.deepEqual(finished, ['0 reply a', '0 reply a', '1 reply b'])
  await clock.advance(1)
  assert.equal(committed(), 2)
  assert.deepEqual(group.health.stopped, [])
})

test('beforeFinish: what is passed over, and what cannot be read, goes through it too', async (t) => {
  const finished: string[] = []
  const { ask, clock, counters, committed, joined, warned, group } = await execute(
    t,
    () => ({ kind: 'passed over', reason: 'unanswerable', detail: 'no id' }),
    {
      beforeFinish: async ({ offset, outcome, unreadable }) => {
        await Promise.resolve()
        assert.equal(outcome.kind, 'passed over')
        finished.push(`${offset} ${unreadable?.next}`)
      },
    },
  )
  await ask('a')
  await clock.advance(1)
  joined().onUnreadable!({
    topic: 'shop_request',
    partition: 0,
    offset: 1,
    next: 40,
    bytes: 900,
    reason: 'its checksum is wrong',
  })
  assert.equal(group.inHand.records, 1)
  await clock.advance(1)
  assert.deepEqual(finished, ['0 undefined', '1 40'])
  assert.equal(committed(), 40)
  assert.equal(counters.passedOver.get('unreadable'), 1)
  assert.deepEqual(warned.at(-1)?.details, {
    topic: 'shop_request',
    partition: 0,
    offset: 1,
    next: 40,
    bytes: 900,
    reason: 'its checksum is wrong',
  })
})

for (const kind of ['later', 'stop'] as const) {
  test(`close does not wait for a record that is to begin again (${kind}), and leaves no timer`, async (t) => {
    const { ask, clock, group, committed } = await execute(t, (value) => {
      if (value !== 'a') return replied(value)
      return kind === 'later'
        ? { kind, notBefore: clock.now() + 3_600_000 }
        : { kind, error: new Error('away') }
    })
    await ask('z', 'z')
    await ask('a', 'a')
    await clock.advance(1)
    const before = clock.now()
    const leaving = group.leave(10_000)
    await clock.advance(0)
    await leaving
    assert.equal(clock.now(), before)
    assert.equal(clock.timers, 0)
    assert.equal(committed(), 1)
  })
}

test('close waits for a record that begins again within its time', async (t) => {
  const { ask, clock, group, committed, replies } = await execute(t, (value, { attempt }) =>
    attempt === 1 ? { kind: 'later', notBefore: clock.now() + 1_000 } : replied(value),
  )
  await ask('a', 'a')
  await clock.advance(1)
  const leaving = group.leave(10_000)
  await clock.advance(1_001)
  await leaving
  assert.deepEqual(replies(), ['a'])
  assert.equal(committed(), 1)
})

test('abandoned though the partition is still held: it is handled again, never left behind', async (t) => {
  const { ask, clock, committed, tries } = await execute(t, (value, { attempt }) =>
    attempt === 1 ? { kind: 'abandoned' } : replied(value),
  )
  await ask('a')
  await clock.advance(1_001)
  assert.deepEqual(tries, ['a#1', 'a#2'])
  assert.equal(committed(), 1)
})
