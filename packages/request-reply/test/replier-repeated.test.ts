/** Requests that come again though they were finished here. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FinishedMemory } from '../src/replier/finished-memory.ts'
import type { IncomingRecord } from '../src/transport/transport.ts'
import { Gates, until } from './asking.ts'
import { echo, setUp } from './replying.ts'

function record(offset: number, timestamp = 1): IncomingRecord {
  return { topic: 't', partition: 0, offset, timestamp, key: null, value: null, headers: [], size: 0 }
}
const id = Buffer.from('0123456789abcdef')

test('what was finished is known by offset, timestamp and correlation id, until it is committed', () => {
  const memory = new FinishedMemory()
  memory.add(record(4), id)
  memory.add(record(6), id)
  memory.add(record(5), undefined)
  assert.equal(memory.has(record(4), id), true)
  assert.equal(memory.has(record(4, 2), id), false, 'another record of a topic that was made anew')
  assert.equal(memory.has(record(4), Buffer.from('0123456789abcdee')), false)
  assert.equal(memory.has(record(5), id), true)
  assert.equal(memory.has(record(7), id), false)
  memory.committed(6)
  assert.equal(memory.has(record(4), id), false)
  assert.equal(memory.has(record(6), id), true)
  memory.add(record(8), id)
  assert.equal(memory.has(record(8), id), true)
  assert.equal(memory.size, 2)
})

test('what is remembered is bounded: the oldest half goes', () => {
  const memory = new FinishedMemory()
  for (let offset = 0; offset < 100_000; offset++) {
    memory.add(record(offset), id)
    assert.ok(memory.size <= 20_000)
  }
  assert.equal(memory.has(record(99_999), id), true)
  assert.equal(memory.has(record(90_000), id), true)
})

test('a request that outlasts the session is handled once more at most, and what was answered is not handled again', async (t) => {
  const { replier, asking, connect, committed, warned } = await setUp(t)
  const connection = connect()
  const gates = new Gates()
  gates.shut('slow')
  const handled: string[] = []
  const worker = replier({ connection, sessionTimeout: 100, heartbeatInterval: 20, commitInterval: 1 })
  worker.handle(echo, async (request) => {
    handled.push(request)
    await gates.pass(request)
    return request
  })
  await worker.start()
  const slow = await asking.ask('slow', { key: 'slow' })
  const quick = await asking.ask('quick', { key: 'quick' })
  await gates.hasBegun('slow')
  await asking.reply(quick)
  await until('the reply is acknowledged', () => worker.stats().replied === 1)
  // The process computes for longer than its session: the group goes on without it. (A busy machine may do it once more.)
  connection.disconnect(300)
  await until('both come again', () => worker.stats().redelivered >= 2)
  gates.open('slow')
  await until('both are committed', () => committed() === 2)
  assert.deepEqual(handled, ['slow', 'quick'])
  assert.equal(worker.stats().repeated, worker.stats().redelivered)
  assert.equal(asking.repliesTo(slow).length, 1)
  assert.equal(asking.repliesTo(quick).length, 1)
  for (const what of ['partitions were lost to the group', 'requests came again that were finished here']) {
    assert.equal(warned.filter(({ message }) => message.startsWith(what)).length, 1, what)
  }
})
