import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startEmbeddedKafka } from '../src/index.ts'
import { errorCodes } from '../src/wire/error-codes.ts'
import { makeBatch } from './support/batches.ts'
import { fetch, produce } from './support/calls.ts'
import { RawClient } from './support/raw-client.ts'
import { until } from './support/until.ts'

const records = makeBatch({ values: ['x'.repeat(10_000)] })

test('retention.bytes keeps at least so much and lets the oldest go', async () => {
  await using broker = await startEmbeddedKafka({
    topics: [{ name: 't', configs: { 'retention.bytes': 100_000 } }],
    retentionCheckMs: 10,
  })
  await using client = await RawClient.open(broker.port)
  for (let sent = 0; sent < 100; sent += 1) await produce(client, { topic: 't', records })
  await until(async () => {
    const [partition] = (await fetch(client, { topic: 't', offset: 99 })).partitions
    return (partition?.logStartOffset ?? 0) > 0
  }, 'the oldest records are gone')
  const [partition] = (await fetch(client, { topic: 't', offset: 99 })).partitions
  assert.ok(partition)
  assert.ok((partition.highWatermark - partition.logStartOffset) * records.length >= 100_000)
})

test('retention.ms lets records go by the time they were appended; compacted topics keep theirs', async () => {
  await using broker = await startEmbeddedKafka({
    topics: [
      { name: 't', configs: { 'retention.ms': 20 } },
      { name: 'compacted', configs: { 'retention.ms': 20, 'cleanup.policy': 'compact' } },
    ],
    retentionCheckMs: 10,
  })
  await using client = await RawClient.open(broker.port)
  await produce(client, { topic: 'compacted', records })
  await produce(client, { topic: 't', records })
  await until(async () => {
    const [partition] = (await fetch(client, { topic: 't' })).partitions
    return partition?.error === errorCodes.OFFSET_OUT_OF_RANGE
  }, 'the record is gone')
  assert.equal((await fetch(client, { topic: 'compacted' })).partitions[0]?.logStartOffset, 0)
  assert.equal((await produce(client, { topic: 't', records })).baseOffset, 1)
})

test('a long run stays within maxLogBytes: the oldest records of all topics go first, and it is told', async () => {
  const lines: string[] = []
  const maxLogBytes = 2_000_000
  await using broker = await startEmbeddedKafka({
    topics: ['old', 'new:4', 'idle'],
    maxLogBytes,
    report: (line) => lines.push(line),
  })
  await using client = await RawClient.open(broker.port)
  for (let sent = 0; sent < 20; sent += 1) await produce(client, { topic: 'old', records })
  for (let sent = 0; sent < 1000; sent += 1) {
    await produce(client, { topic: 'new', partition: sent % 4, records })
    assert.ok(broker.stats().logBytes <= maxLogBytes + 1_048_576, `${broker.stats().logBytes} bytes`)
  }
  assert.equal((await fetch(client, { topic: 'old' })).partitions[0]?.error, errorCodes.OFFSET_OUT_OF_RANGE)
  const [newest] = (await fetch(client, { topic: 'new', partition: 3, offset: 249 })).partitions
  assert.equal(newest?.records?.length, records.length)
  assert.ok(broker.stats().droppedSegments > 0)
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', /maxLogBytes = 2000000/)
})
