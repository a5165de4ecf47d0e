import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startEmbeddedKafka } from '../src/index.ts'
import { Producers } from '../src/log/producers.ts'
import { readBatchHeader } from '../src/records/batch.ts'
import type { BatchHeader } from '../src/records/batch.ts'
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
  await produce(client, {
    topic: 'compacted',
    records: makeBatch({ values: ['x'.repeat(10_000)], key: 'k' }),
  })
  await produce(client, { topic: 't', records })
  await until(async () => {
    const [partition] = (await fetch(client, { topic: 't' })).partitions
    return partition?.error === errorCodes.OFFSET_OUT_OF_RANGE
  }, 'the record is gone')
  assert.equal((await fetch(client, { topic: 'compacted' })).partitions[0]?.logStartOffset, 0)
  assert.equal((await produce(client, { topic: 't', records })).baseOffset, 1)
})

test('a segment that grows is not dropped, however little retention.bytes allows', async () => {
  await using broker = await startEmbeddedKafka({
    topics: [{ name: 't', configs: { 'retention.bytes': 0 } }],
    retentionCheckMs: 10,
  })
  await using client = await RawClient.open(broker.port)
  // The first segment holds 8 KiB: the second of these begins another one, which goes on growing.
  await produce(client, { topic: 't', records })
  await produce(client, { topic: 't', records })
  await until(async () => {
    const [partition] = (await fetch(client, { topic: 't', offset: 2 })).partitions
    return partition?.logStartOffset === 1
  }, 'retention was applied')
  const [partition] = (await fetch(client, { topic: 't', offset: 1 })).partitions
  assert.deepEqual([partition?.error, partition?.records?.length], [errorCodes.NONE, records.length])
})

test('a long run stays within maxLogBytes: a topic that grows loses its own oldest records, no other loses any', async () => {
  const lines: string[] = []
  const maxLogBytes = 2_000_000
  const newcomers = ['one', 'two', 'three', 'four', 'five']
  await using broker = await startEmbeddedKafka({
    topics: ['unread', 'new:4', ...newcomers],
    maxLogBytes,
    warn: (line) => lines.push(line),
  })
  await using client = await RawClient.open(broker.port)
  for (let sent = 0; sent < 20; sent += 1) await produce(client, { topic: 'unread', records })
  for (let sent = 0; sent < 1000; sent += 1) {
    const produced = await produce(client, { topic: 'new', partition: sent % 4, records })
    assert.equal(produced.error, errorCodes.NONE)
    assert.ok(broker.stats().logBytes <= maxLogBytes + 100_000, `${broker.stats().logBytes} bytes`)
  }
  const [unread] = (await fetch(client, { topic: 'unread' })).partitions
  assert.deepEqual([unread?.error, unread?.logStartOffset, unread?.highWatermark], [errorCodes.NONE, 0, 20])
  const [newest] = (await fetch(client, { topic: 'new', partition: 3, offset: 249 })).partitions
  assert.equal(newest?.records?.length, records.length)
  assert.ok((newest?.logStartOffset ?? 0) > 0)
  // There is room for those that hold little.
  for (const topic of newcomers) {
    for (let sent = 0; sent < 2; sent += 1) await produce(client, { topic, records })
    const [kept] = (await fetch(client, { topic })).partitions
    assert.deepEqual([kept?.logStartOffset, kept?.highWatermark], [0, 2], topic)
  }
  const { droppedSegments, refusedBatches } = broker.stats()
  assert.ok(droppedSegments > 0)
  assert.equal(refusedBatches, 0)
  assert.equal(lines.length, 1, lines.join('\n'))
  assert.match(lines[0] ?? '', /^new lets go of its oldest records .*maxLogBytes = 2000000.*retention\.bytes/)
})

test('partitions that are still written to keep what they are writing when another one of the topic grows', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t:2'], maxLogBytes: 2_000_000, warn() {} })
  await using client = await RawClient.open(broker.port)
  await produce(client, { topic: 't', partition: 1, records: makeBatch({ values: ['kept'] }) })
  for (let sent = 0; sent < 500; sent += 1) await produce(client, { topic: 't', records })
  assert.ok(broker.stats().droppedSegments > 0)
  const [kept] = (await fetch(client, { topic: 't', partition: 1 })).partitions
  assert.deepEqual([kept?.error, kept?.logStartOffset], [errorCodes.NONE, 0])
})

const keeping: readonly Record<string, string | number>[] = [
  { 'retention.bytes': -1 },
  { 'retention.bytes': 100_000_000 },
  { 'cleanup.policy': 'compact' },
]
for (const configs of keeping) {
  test(`a topic with ${JSON.stringify(configs)} keeps all, and its producers are refused when the memory is full`, async () => {
    const lines: string[] = []
    await using broker = await startEmbeddedKafka({
      topics: [{ name: 't', configs }],
      maxLogBytes: 2_000_000,
      warn: (line) => lines.push(line),
    })
    await using client = await RawClient.open(broker.port)
    const keyed = makeBatch({ values: ['x'.repeat(10_000)], key: 'k' })
    let accepted = 0
    let refused = 0
    for (let sent = 0; sent < 300; sent += 1) {
      const { error } = await produce(client, { topic: 't', records: keyed })
      if (error === errorCodes.NONE) accepted += 1
      else if (error === errorCodes.KAFKA_STORAGE_ERROR) refused += 1
      else assert.fail(`error ${error}`)
    }
    assert.ok(accepted > 50 && refused > 50, `${accepted} accepted, ${refused} refused`)
    assert.equal(broker.stats().refusedBatches, refused)
    const [partition] = (await fetch(client, { topic: 't' })).partitions
    assert.deepEqual([partition?.logStartOffset, partition?.highWatermark], [0, accepted])
    assert.equal(lines.length, 1, lines.join('\n'))
    assert.match(lines[0] ?? '', /logs are full .*KAFKA_STORAGE_ERROR.*Delete topics or records/)
    broker.deleteTopic('t')
    broker.createTopic('t')
    assert.equal((await produce(client, { topic: 't', records })).error, errorCodes.NONE)
  })
}

test('what the retention of other topics allows to go makes room before anybody is refused', async () => {
  await using broker = await startEmbeddedKafka({
    topics: [
      { name: 'old', configs: { 'retention.bytes': 0 } },
      { name: 't', configs: { 'retention.bytes': -1 } },
    ],
    maxLogBytes: 2_000_000,
    retentionCheckMs: 2_000_000,
    warn() {},
  })
  await using client = await RawClient.open(broker.port)
  while (broker.stats().logBytes < 1_600_000) await produce(client, { topic: 'old', records })
  for (let sent = 0; sent < 60; sent += 1) {
    assert.equal((await produce(client, { topic: 't', records })).error, errorCodes.NONE, `batch ${sent}`)
  }
})

/** Of a producer whose last sequence number was 5, so that three are missing. */
function gap(producerId: number): BatchHeader {
  return readBatchHeader(makeBatch({ producerId, epoch: 0, sequence: 9 }))
}

test('producers are not remembered without bound: the one unused for the longest is forgotten, and its bytes', () => {
  let bytes = 0
  const producers = new Producers({ count: (more) => (bytes += more) }, 3)
  const send = (producerId: number, now: number): void => {
    const spec = { producerId, epoch: 0, sequence: 5 }
    producers.appended(readBatchHeader(makeBatch(spec)), 0, -1, now)
  }
  for (const [now, id] of [1, 2, 3].entries()) send(id, now)
  const ofThree = bytes
  send(1, 3)
  send(4, 4)
  assert.deepEqual([producers.size, bytes], [3, ofThree])
  // Who is known may not leave out sequence numbers; 2 was unused for the longest, and may begin anywhere again.
  for (const known of [1, 3, 4])
    assert.throws(() => producers.check(gap(known)), /sequence number 9, expected/)
  assert.equal(producers.check(gap(2)), undefined)
  producers.expire(4)
  assert.equal(producers.size, 1)
  producers.clear()
  assert.equal(bytes, 0)
})
