/** Whose reply topics are swept: those of whom this very process has seen no sign of life for all the time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LeaseTable } from '../src/routing/leases.ts'
import { TopicSweeper } from '../src/routing/topic-sweeper.ts'
import type { CommittedOffset, Transport } from '../src/transport/transport.ts'
import { ManualClock } from './manual-clock.ts'

const sweepAfter = 60_000

function setUp(...topics: string[]) {
  const clock = new ManualClock()
  const there = new Set(topics)
  const offsets = new Map<string, CommittedOffset>()
  const faults = { read: false }
  const transport = {
    describeTopics: () => Promise.resolve(new Map([...there].map((name) => [name, { name, partitions: 1 }]))),
    deleteTopics: (names: readonly string[]) => {
      for (const name of names) there.delete(name)
      return Promise.resolve()
    },
    readCommittedOffsets: (_group: string, names: readonly string[]) =>
      faults.read
        ? Promise.reject(new Error('no coordinator'))
        : Promise.resolve([...offsets.values()].filter((one) => names.includes(one.topic))),
    writeCommittedOffsets: (_group: string, written: readonly CommittedOffset[]) => {
      for (const one of written) offsets.set(one.topic, one)
      return Promise.resolve()
    },
  } as unknown as Transport
  const leases = new LeaseTable(transport, 'replies_')
  const sweeper = new TopicSweeper({
    transport,
    leases,
    clock,
    prefix: 'replies_',
    own: 'replies_own',
    sweepAfter,
  })
  return {
    there,
    faults,
    renew: (topic: string, renewedAt = clock.now()) =>
      leases.write({ topic, partition: 0, owner: 'gw', renewedAt }),
    release: (topic: string) => leases.release({ topic, partition: 0 }),
    /** A look after so long. */
    look: async (after: number) => {
      clock.jump(after)
      await sweeper.sweep()
    },
  }
}

test('a topic goes when its lease was watched for all of the time and stayed the same', async () => {
  const { there, renew, look } = setUp('replies_gone', 'another_gone')
  await renew('replies_gone')
  await renew('another_gone')
  for (let looks = 0; looks < 6; looks++) await look(10_000)
  assert.ok(there.has('replies_gone'), 'its time is not over')
  await look(10_000)
  assert.deepEqual([...there], ['another_gone'], 'and none that only looks like it')
})

test('a lease that is renewed meanwhile begins anew, whatever its owner’s clock says', async () => {
  const { there, renew, look } = setUp('replies_slow')
  await renew('replies_slow', 7)
  for (let looks = 0; looks < 6; looks++) await look(10_000)
  // Back in time, by the owner's clock; it lives.
  await renew('replies_slow', 3)
  for (let looks = 0; looks < 6; looks++) await look(10_000)
  assert.ok(there.has('replies_slow'))
  await look(10_000)
  assert.ok(!there.has('replies_slow'))
})

test('a lease that ran out long ago by its own time is watched like any other', async () => {
  const { there, renew, look } = setUp('replies_old')
  await renew('replies_old', 0)
  await look(0)
  await look(50_000)
  assert.ok(there.has('replies_old'))
  await look(10_000)
  assert.ok(!there.has('replies_old'))
})

test('a topic without a lease, or whose lease was given back, is nobody’s to remove; nor is our own', async () => {
  const { there, renew, release, look } = setUp('replies_archive', 'replies_released', 'replies_own')
  await renew('replies_released')
  await renew('replies_own')
  await look(0)
  await release('replies_released')
  for (let looks = 0; looks < 20; looks++) await look(10_000)
  assert.deepEqual([...there].toSorted(), ['replies_archive', 'replies_own', 'replies_released'])
})

test('a gap in watching, or looks that failed, are not watching', async () => {
  const { there, faults, renew, look } = setUp('replies_gone')
  await renew('replies_gone')
  await look(0)
  await look(50_000)
  await look(60_001)
  assert.ok(there.has('replies_gone'), 'nobody looked for more than a minute')
  await look(50_000)
  faults.read = true
  for (let looks = 0; looks < 7; looks++) await assert.rejects(look(10_000))
  faults.read = false
  await look(10_000)
  assert.ok(there.has('replies_gone'), 'nothing was seen for more than a minute')
  await look(60_000)
  assert.ok(!there.has('replies_gone'))
})
