/** When a record of a retry topic is due, whatever the clocks say. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Delays } from '../src/replier/delays.ts'
import { KeyLanes } from '../src/replier/key-lanes.ts'
import { Job, PartitionWork } from '../src/replier/partition-work.ts'
import { Reading } from '../src/replier/reading.ts'
import type { IncomingRecord } from '../src/transport/transport.ts'
import { ManualClock } from './manual-clock.ts'

const delay = 10_000

function setUp() {
  const clock = new ManualClock()
  const begun: string[] = []
  const turns = new KeyLanes<Job>({
    concurrency: 100,
    wanted: () => true,
    begin: (job) => void begun.push(`${job.offset}@${clock.monotonic()}`),
    dropped: () => {},
  })
  const delays = new Delays({ clock, reading: new Reading(), turns })
  const work = new PartitionWork({ topic: 'pay-retry-1', partition: 0 }, undefined, delay)
  let offset = 0
  return {
    clock,
    begun,
    work,
    /** @param written how long ago, by whoever wrote it */
    read(this: void, written: number | undefined, appendedAfter?: number): void {
      const record: IncomingRecord = {
        topic: work.topic,
        partition: 0,
        offset: offset++,
        key: null,
        value: null,
        headers: [],
        timestamp: written === undefined ? -1 : clock.now() - written,
        size: 0,
      }
      const job = new Job(record, work, clock.monotonic(), appendedAfter)
      if (!delays.take(job)) turns.add(job)
      turns.look()
    },
  }
}

test('due so long after it was written; those behind wait with it, and begin in order', async () => {
  const { clock, begun, work, read } = setUp()
  await clock.advance(20_000)
  read(12_000)
  read(4_000)
  read(11_000)
  read(2_000)
  assert.deepEqual(begun, ['0@20000'])
  assert.equal(clock.timers, 1)
  assert.notEqual(work.pauses, 0)
  await clock.advance(5_999)
  assert.equal(begun.length, 1)
  await clock.advance(1)
  assert.deepEqual(begun, ['0@20000', '1@26000', '2@26000'])
  assert.notEqual(work.pauses, 0)
  await clock.advance(2_000)
  assert.equal(begun.at(-1), '3@28000')
  assert.equal(work.pauses, 0)
  assert.equal(clock.timers, 0)
})

test('a writer’s clock that is ahead, or no timestamp: no longer than the delay after it was read', async () => {
  const { clock, begun, read } = setUp()
  read(-3_600_000)
  read(undefined)
  await clock.advance(delay)
  assert.deepEqual(begun, ['0@10000', '1@10000'])
})

test('a writer’s clock that is behind: not sooner than the delay after it was certainly not there', async () => {
  const { clock, begun, read } = setUp()
  await clock.advance(5_000)
  read(3_600_000, 4_000)
  assert.deepEqual(begun, [])
  await clock.advance(8_999)
  assert.deepEqual(begun, [])
  await clock.advance(1)
  assert.deepEqual(begun, ['0@14000'])
})

test('a partition that is let go forgets what waits, and its timer', async () => {
  const { clock, begun, work, read } = setUp()
  read(0)
  read(0)
  work.letGo(new Error('moved'))
  assert.equal(work.delayed.length, 0)
  assert.equal(clock.timers, 0)
  await clock.advance(delay)
  assert.deepEqual(begun, [])
})

test('a partition that drains lets nothing more begin', async () => {
  const { clock, begun, work, read } = setUp()
  read(0)
  await work.drain()
  await clock.advance(delay)
  assert.deepEqual(begun, [])
})
