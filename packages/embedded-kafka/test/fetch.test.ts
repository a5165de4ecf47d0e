import assert from 'node:assert/strict'
import { test } from 'node:test'
import { untilAppended } from '../src/apis/appended.ts'
import { errorCodes, startEmbeddedKafka } from '../src/index.ts'
import type { EmbeddedKafka } from '../src/index.ts'
import { LogMemory } from '../src/log/memory.ts'
import { Partition } from '../src/log/partition.ts'
import { TopicConfigs } from '../src/log/topic-configs.ts'
import { validateProducedBatch } from '../src/records/validation.ts'
import { makeBatch } from './support/batches.ts'
import { baseOffsets, fetch, produce } from './support/calls.ts'
import type { FetchSpec, Fetched } from './support/calls.ts'
import { RawClient } from './support/raw-client.ts'
import { until } from './support/until.ts'

/** Longer than any test may take: whoever waits for its end instead of a record fails by the runner's time limit. */
const forever = 2_000_000

/** Starts a fetch and returns once it is parked; its end is what `answer` gives. */
async function park(
  broker: EmbeddedKafka,
  client: RawClient,
  spec: FetchSpec,
): Promise<{ answer: Promise<Fetched> }> {
  const answer = fetch(client, { maxWaitMs: forever, ...spec })
  await until(() => broker.stats().parkedRequests === 1, 'the fetch is parked')
  return { answer }
}

test('an idle fetch wakes when a record is appended, at every version', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using consumer = await RawClient.open(broker.port)
  await using producer = await RawClient.open(broker.port)
  for (let version = 4; version <= 12; version += 1) {
    const offset = version - 4
    const parked = await park(broker, consumer, { topic: 't', offset, version })
    await produce(producer, { topic: 't', records: makeBatch() })
    const [partition] = (await parked.answer).partitions
    assert.deepEqual(baseOffsets(partition?.records ?? null), [offset])
    assert.equal(partition?.highWatermark, offset + 1)
    assert.equal(partition?.lastStableOffset, offset + 1)
  }
})

test('an idle fetch wakes for a record in any of its partitions, and its answer names all of them', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t:3'] })
  await using consumer = await RawClient.open(broker.port)
  await using producer = await RawClient.open(broker.port)
  const parked = await park(broker, consumer, { topic: 't', partitions: [0, 1, 2] })
  await produce(producer, { topic: 't', partition: 2, records: makeBatch() })
  const { partitions } = await parked.answer
  assert.deepEqual(
    partitions.map(({ index, records }) => [index, records?.length !== 0]),
    [
      [0, false],
      [1, false],
      [2, true],
    ],
  )
})

test('minBytes gathers appends until there is enough', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using consumer = await RawClient.open(broker.port)
  await using producer = await RawClient.open(broker.port)
  const records = makeBatch()
  const parked = await park(broker, consumer, { topic: 't', minBytes: records.length * 3 })
  for (let sent = 0; sent < 3; sent += 1) await produce(producer, { topic: 't', records })
  assert.deepEqual(baseOffsets((await parked.answer).partitions[0]?.records ?? null), [0, 1, 2])
})

test('a wait that ends without records answers empty', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  const [partition] = (await fetch(client, { topic: 't', maxWaitMs: 5 })).partitions
  assert.deepEqual([partition?.error, partition?.records?.length], [errorCodes.NONE, 0])
})

test('an offset out of range, an epoch that does not fit and nothing that is known return at once', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  const errors: [FetchSpec, number][] = [
    [{ topic: 'nope' }, errorCodes.UNKNOWN_TOPIC_OR_PARTITION],
    [{ topic: 't', partition: 9 }, errorCodes.UNKNOWN_TOPIC_OR_PARTITION],
    [{ topic: 't', offset: 1 }, errorCodes.OFFSET_OUT_OF_RANGE],
    [{ topic: 't', offset: -1 }, errorCodes.OFFSET_OUT_OF_RANGE],
    [{ topic: 't', leaderEpoch: 1 }, errorCodes.UNKNOWN_LEADER_EPOCH],
  ]
  for (const [spec, error] of errors) {
    const [partition] = (await fetch(client, { ...spec, maxWaitMs: forever })).partitions
    assert.equal(partition?.error, error, JSON.stringify(spec))
  }
})

test('deleting the topic ends the fetches that wait for it with the error of an unknown topic', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  const parked = await park(broker, client, { topic: 't' })
  broker.deleteTopic('t')
  const [partition] = (await parked.answer).partitions
  assert.equal(partition?.error, errorCodes.UNKNOWN_TOPIC_OR_PARTITION)
})

test('at least one batch comes back however small the limits are, and whole batches only', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t:2'] })
  await using client = await RawClient.open(broker.port)
  const records = makeBatch({ values: ['x'.repeat(100)] })
  for (const partition of [0, 1]) {
    for (let sent = 0; sent < 4; sent += 1) await produce(client, { topic: 't', partition, records })
  }
  const read = async (spec: Partial<FetchSpec>): Promise<number[][]> => {
    const fetched = await fetch(client, { topic: 't', partitions: [0, 1], ...spec })
    return fetched.partitions.map((partition) => baseOffsets(partition.records))
  }
  assert.deepEqual(await read({ partitionMaxBytes: 1 }), [[0], []])
  assert.deepEqual(await read({ maxBytes: 1 }), [[0], []])
  assert.deepEqual(await read({ maxBytes: 0 }), [[0], []])
  assert.deepEqual(await read({ partitionMaxBytes: records.length * 2 + 1 }), [
    [0, 1],
    [0, 1],
  ])
  assert.deepEqual(await read({ maxBytes: records.length * 5 }), [[0, 1, 2, 3], [0]])
  assert.deepEqual(await read({ offset: 3, maxBytes: 1 }), [[3], []])
})

test('a fetch from inside a batch brings the batch', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  await produce(client, { topic: 't', records: makeBatch({ values: ['a', 'b', 'c'] }) })
  await produce(client, { topic: 't', records: makeBatch({ values: ['d', 'e'] }) })
  assert.deepEqual(
    baseOffsets((await fetch(client, { topic: 't', offset: 2 })).partitions[0]?.records ?? null),
    [0, 3],
  )
  assert.deepEqual(
    baseOffsets((await fetch(client, { topic: 't', offset: 4 })).partitions[0]?.records ?? null),
    [3],
  )
})

test('reading on over many segments of the log misses nothing', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  const records = makeBatch({ values: ['x'.repeat(3000), 'y'] })
  for (let sent = 0; sent < 60; sent += 1) await produce(client, { topic: 't', records })
  const seen: number[] = []
  while (seen.length < 60) {
    const offset = seen.length * 2
    const [partition] = (await fetch(client, { topic: 't', offset, partitionMaxBytes: 20_000 })).partitions
    const offsets = baseOffsets(partition?.records ?? null)
    assert.ok(offsets.length > 0, `nothing at offset ${offset}`)
    seen.push(...offsets)
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 60 }, (_, index) => index * 2),
  )
})

test('what does not fit any more is not passed over for a smaller batch of the next segment', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  // The first segment of a log holds 8 KiB: the last of these begins the second.
  for (const size of [100, 6_000, 3_000])
    await produce(client, { topic: 't', records: makeBatch({ values: ['x'.repeat(size)] }) })
  const read = async (offset: number): Promise<number[]> => {
    const fetched = await fetch(client, { topic: 't', offset, partitionMaxBytes: 5_000 })
    return baseOffsets(fetched.partitions[0]?.records ?? null)
  }
  assert.deepEqual([await read(0), await read(1), await read(2)], [[0], [1], [2]])
})

test('a session is never granted: id 0 comes back, and an id that was not given out is unknown', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  const asked = await fetch(client, { topic: 't', sessionId: 0, sessionEpoch: 0 })
  assert.deepEqual([asked.error, asked.sessionId, asked.partitions.length], [errorCodes.NONE, 0, 1])
  const foreign = await fetch(client, { topic: 't', sessionId: 5, sessionEpoch: 1, maxWaitMs: forever })
  assert.deepEqual([foreign.error, foreign.partitions.length], [errorCodes.FETCH_SESSION_ID_NOT_FOUND, 0])
})

test('read_committed has a list of aborted transactions, read_uncommitted none', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  assert.equal((await fetch(client, { topic: 't', isolation: 1 })).partitions[0]?.aborted, 0)
  assert.equal((await fetch(client, { topic: 't', isolation: 0 })).partitions[0]?.aborted, null)
})

test('requests of one connection are answered in order, also behind a parked one', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  await using producer = await RawClient.open(broker.port)
  const order: string[] = []
  const parked = await park(broker, client, { topic: 't' })
  const first = parked.answer.then(() => order.push('parked'))
  const behind = fetch(client, { topic: 't' }).then(() => order.push('behind'))
  await produce(producer, { topic: 't', records: makeBatch() })
  await Promise.all([first, behind])
  assert.deepEqual(order, ['parked', 'behind'])
})

async function topicId(client: RawClient, topic: string): Promise<string> {
  const zero = '00000000-0000-0000-0000-000000000000'
  const reader = await client.request({
    key: 3,
    version: 12,
    flexible: true,
    body: (writer) => {
      writer.array([topic], (name) => {
        writer.uuid(zero)
        writer.nullableString(name)
        writer.tags()
      })
      writer.boolean(false)
      writer.boolean(false)
      writer.tags()
    },
  })
  reader.int32()
  reader.array((node) => {
    node.int32()
    node.string()
    node.int32()
    node.nullableString()
    node.tags()
  })
  reader.nullableString()
  reader.int32()
  assert.equal(reader.uvarint(), 2)
  assert.equal(reader.int16(), errorCodes.NONE)
  assert.equal(reader.nullableString(), topic)
  return reader.uuid()
}

test('from version 13 on topics are named by their ids, and an idle fetch wakes as before', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using consumer = await RawClient.open(broker.port)
  await using producer = await RawClient.open(broker.port)
  const id = await topicId(producer, 't')
  for (let version = 13; version <= 18; version += 1) {
    const offset = version - 13
    const parked = await park(broker, consumer, { topic: 't', topicId: id, offset, version })
    await produce(producer, { topic: 't', records: makeBatch() })
    const [partition] = (await parked.answer).partitions
    assert.equal(partition?.topic, id)
    assert.deepEqual(baseOffsets(partition?.records ?? null), [offset])
  }
  const unknown = { topic: 't', topicId: '01234567-89ab-cdef-0123-456789abcdef', version: 17 }
  const [partition] = (await fetch(consumer, { ...unknown, maxWaitMs: forever })).partitions
  assert.deepEqual([partition?.topic, partition?.error], [unknown.topicId, errorCodes.UNKNOWN_TOPIC_ID])
})

test('a topic that was made anew has another id, and the old one is unknown', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  const former = await topicId(client, 't')
  const parked = await park(broker, client, { topic: 't', topicId: former, version: 17 })
  broker.deleteTopic('t')
  broker.createTopic('t')
  assert.equal((await parked.answer).partitions[0]?.error, errorCodes.UNKNOWN_TOPIC_OR_PARTITION)
  assert.notEqual(await topicId(client, 't'), former)
  const [partition] = (await fetch(client, { topic: 't', topicId: former, version: 17 })).partitions
  assert.equal(partition?.error, errorCodes.UNKNOWN_TOPIC_ID)
})

test('an unknown partition beside an idle one waits with it, and both are answered when a record comes', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using consumer = await RawClient.open(broker.port)
  await using producer = await RawClient.open(broker.port)
  const parked = await park(broker, consumer, { topic: 't', partitions: [0, 7] })
  await produce(producer, { topic: 't', records: makeBatch() })
  assert.deepEqual(
    (await parked.answer).partitions.map(({ index, error }) => [index, error]),
    [
      [0, errorCodes.NONE],
      [7, errorCodes.UNKNOWN_TOPIC_OR_PARTITION],
    ],
  )
})

test('a partition that is named many times is read once', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  await produce(client, { topic: 't', records: makeBatch() })
  const { partitions } = await fetch(client, { topic: 't', partitions: [0, 0, 0] })
  assert.equal(partitions.length, 1)
})

test('whatever ends a parked fetch, nothing of it keeps listening to its partitions', async () => {
  const memory = new LogMemory({ maxBytes: 1_000_000, retain() {}, onDropped() {}, onFull() {} })
  const configs = new TopicConfigs(new Map())
  const partitions: Partition[] = []
  const ofTopic = memory.ofTopic('t', configs, partitions)
  for (const index of [0, 1]) partitions.push(new Partition('t', index, configs, ofTopic))
  const listening = (): number[] => partitions.map(({ listenerCount }) => listenerCount)
  const none = new AbortController()

  const appended = untilAppended(partitions, 1, forever, none.signal)
  assert.deepEqual(listening(), [1, 1])
  const records = makeBatch()
  partitions[1]?.append(records, validateProducedBatch(records, 1000, { unpackedBytes: 0 }), Date.now())
  await appended
  assert.deepEqual(listening(), [0, 0], 'after a record')

  await untilAppended(partitions, 1, 1, none.signal)
  assert.deepEqual(listening(), [0, 0], 'after its time')

  const leaving = new AbortController()
  const left = untilAppended(partitions, 1, forever, leaving.signal)
  leaving.abort()
  await left
  assert.deepEqual(listening(), [0, 0], 'after its connection')

  const deleted = untilAppended(partitions, 1, forever, none.signal)
  partitions[0]?.delete()
  await deleted
  assert.deepEqual(listening(), [0, 0], 'after the deletion')
})
