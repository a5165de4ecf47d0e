import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InHand } from '../src/replier/in-hand.ts'
import { PartitionWork } from '../src/replier/partition-work.ts'

function bench(maxRecords: number, partitions: number, maxBytes = 1_000_000) {
  const events: string[] = []
  const inHand = new InHand({
    maxRecords,
    maxBytes,
    pause: (work) => events.push(`pause ${work.partition}`),
    resume: (work) => events.push(`resume ${work.partition}`),
  })
  const works = Array.from({ length: partitions }, (_, i) => new PartitionWork({ topic: 't', partition: i }))
  for (const work of works) inHand.enter(work)
  const add = (partition: number, count: number, size = 1): void => {
    for (let i = 0; i < count; i++) inHand.add(works[partition]!, size)
  }
  const remove = (partition: number, count: number, size = 1): void => {
    for (let i = 0; i < count; i++) inHand.remove(works[partition]!, size)
  }
  return { inHand, works, events, add, remove }
}

test('a partition may use all the room while nobody else needs it', () => {
  const { events, add } = bench(10, 2)
  add(0, 10)
  assert.deepEqual(events, [])
  add(0, 1)
  assert.deepEqual(events, ['pause 0'])
})

test('a full partition does not stop one that holds less than its share', () => {
  const { events, add } = bench(10, 2)
  add(0, 11)
  add(1, 5)
  assert.deepEqual(events, ['pause 0'])
  add(1, 1)
  assert.deepEqual(events, ['pause 0', 'pause 1'])
})

test('bytes count as records do', () => {
  const { events, add, remove } = bench(1_000, 1, 100)
  add(0, 2, 60)
  assert.deepEqual(events, ['pause 0'])
  remove(0, 1, 60)
  assert.deepEqual(events, ['pause 0', 'resume 0'])
})

test('reading goes on when there is room again', () => {
  const { inHand, events, add, remove } = bench(10, 1)
  add(0, 11)
  remove(0, 3)
  assert.deepEqual(events, ['pause 0'])
  assert.equal(inHand.paused, 1)
  remove(0, 1)
  assert.deepEqual(events, ['pause 0', 'resume 0'])
  assert.equal(inHand.paused, 0)
})

test('a partition whose records are done goes on, even when another holds too much for ever', () => {
  const { events, add, remove } = bench(10, 2)
  add(0, 20)
  add(1, 6)
  remove(1, 6)
  assert.deepEqual(events, ['pause 0', 'pause 1', 'resume 1'])
})

test('what a partition held does not count when it is gone', () => {
  const { inHand, works, events, add } = bench(10, 2)
  add(0, 11)
  add(1, 6)
  inHand.forget(works[0]!)
  assert.equal(inHand.records, 6)
  assert.deepEqual(events.slice(2), ['resume 1'])
  inHand.remove(works[0]!, 1)
  assert.equal(inHand.records, 6)
})
