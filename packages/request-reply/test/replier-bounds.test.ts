/** How far reading runs ahead, and what counts as in hand. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { headerOverhead, recordOverhead } from '../src/replier/partition-work.ts'
import { execute, replied } from './executing.ts'

test('reading runs no further ahead of an unfinished record than maxAhead; health says so, and it goes on', async (t) => {
  const release = Promise.withResolvers<void>()
  const { ask, clock, group, committed, replies, warned } = await execute(
    t,
    async (value) => {
      if (value === 'slow') await release.promise
      return replied(value)
    },
    { maxAhead: 10, partitions: 2 },
  )
  await ask('slow', 'slow')
  await clock.advance(1)
  for (let i = 0; i < 30; i++) {
    await ask(String(i))
    if (i % 5 === 0) await clock.advance(1)
  }
  await ask('elsewhere', null, 1)
  await clock.advance(10)
  const [stopped] = group.health.stopped
  assert.equal(stopped?.reason, 'too-far-ahead')
  assert.equal(stopped?.partition, 0)
  assert.ok(replies().includes('elsewhere'), 'another partition goes on')
  const answered = replies().length
  assert.ok(answered >= 10 && answered < 20, `${answered} are answered beyond the slow one`)
  assert.equal(group.inHand.records, 1)
  assert.equal(warned.length, 1)
  assert.equal(warned[0]!.details.offset, 0)
  assert.equal(committed(), 0)
  release.resolve()
  await clock.advance(10)
  assert.equal(replies().length, 32)
  assert.deepEqual(group.health.stopped, [])
  await clock.advance(1)
  assert.equal(committed(), 31)
})

test('in hand counts the bytes of record and reply, and what the objects take, until the reply is acknowledged', async (t) => {
  const release = Promise.withResolvers<void>()
  const { ask, clock, group, broker } = await execute(t, async (value) => {
    await release.promise
    return replied(value.repeat(100))
  })
  broker.faults = { send: (record) => (record.topic === 'shop_reply' ? { fate: 'not-sent' } : undefined) }
  await ask('x')
  await clock.advance(1)
  const { size, headers } = broker.records('shop_request')[0]!
  const request = size + recordOverhead + headers.length * headerOverhead
  assert.equal(group.inHand.bytes, request)
  release.resolve()
  await clock.advance(1)
  assert.equal(group.unacknowledged, 1)
  const reply = 100 + 'kafka_correlationId'.length + 16
  assert.equal(group.inHand.bytes, request + reply)
  broker.faults = {}
  await clock.advance(200)
  assert.equal(group.unacknowledged, 0)
  assert.equal(group.inHand.bytes, 0)
})
