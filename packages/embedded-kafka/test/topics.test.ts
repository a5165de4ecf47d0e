import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorCodes, startEmbeddedKafka } from '../src/index.ts'
import { makeBatch } from './support/batches.ts'
import { baseOffsets, fetch, produce } from './support/calls.ts'
import { RawClient } from './support/raw-client.ts'

interface TopicRequest {
  readonly name: string
  readonly partitions?: number
  readonly replication?: number
  readonly assignments?: readonly (readonly number[])[]
  readonly configs?: Readonly<Record<string, string | null>>
}

interface TopicResult {
  readonly name: string
  readonly error: number
  readonly message: string | null
  readonly partitions: number | undefined
  readonly configs: ReadonlyMap<string, string | null>
}

async function create(
  client: RawClient,
  topics: readonly TopicRequest[],
  options: { version?: number; validateOnly?: boolean } = {},
): Promise<TopicResult[]> {
  const version = options.version ?? 5
  const reader = await client.request({
    key: 19,
    version,
    flexible: version >= 5,
    body: (writer) => {
      writer.array(topics, (topic) => {
        writer.string(topic.name)
        writer.int32(topic.partitions ?? (topic.assignments ? -1 : 1))
        writer.int16(topic.replication ?? (topic.assignments ? -1 : 1))
        writer.array([...(topic.assignments ?? []).entries()], ([index, nodes]) => {
          writer.int32(index)
          writer.array(nodes, (node) => writer.int32(node))
          writer.tags()
        })
        writer.array(Object.entries(topic.configs ?? {}), ([name, value]) => {
          writer.string(name)
          writer.nullableString(value)
          writer.tags()
        })
        writer.tags()
      })
      writer.int32(1000)
      writer.boolean(options.validateOnly ?? false)
      writer.tags()
    },
  })
  reader.int32()
  const results = reader.array((topic) => {
    const name = topic.string()
    const error = topic.int16()
    const message = topic.nullableString()
    const configs = new Map<string, string | null>()
    let partitions: number | undefined
    if (version >= 5) {
      partitions = topic.int32()
      topic.int16()
      topic.nullableArray((config) => {
        configs.set(config.string(), config.nullableString())
        config.boolean()
        config.int8()
        config.boolean()
        config.tags()
      })
    }
    topic.tags()
    return { name, error, message, partitions, configs }
  })
  reader.tags()
  assert.equal(reader.remaining, 0)
  return results
}

test('topics are created at every version, with the configs in effect in the answer', async () => {
  await using broker = await startEmbeddedKafka()
  await using client = await RawClient.open(broker.port)
  for (let version = 2; version <= 5; version += 1) {
    const name = `t${version}`
    const [result] = await create(client, [{ name, partitions: 3, configs: { 'retention.ms': '5000' } }], {
      version,
    })
    assert.deepEqual([result?.error, result?.message], [errorCodes.NONE, null])
    assert.equal((await fetch(client, { topic: name, partition: 2 })).partitions[0]?.error, errorCodes.NONE)
    if (version === 5) {
      assert.equal(result?.partitions, 3)
      assert.equal(result.configs.get('retention.ms'), '5000')
      assert.equal(result.configs.get('cleanup.policy'), 'delete')
    }
  }
})

const refused: readonly [string, TopicRequest, number][] = [
  ['an empty name', { name: '' }, errorCodes.INVALID_TOPIC_EXCEPTION],
  ['the name "."', { name: '.' }, errorCodes.INVALID_TOPIC_EXCEPTION],
  ['a name with a slash', { name: 'a/b' }, errorCodes.INVALID_TOPIC_EXCEPTION],
  ['a name of 250 characters', { name: 'x'.repeat(250) }, errorCodes.INVALID_TOPIC_EXCEPTION],
  ['a name that differs from another in dots', { name: 'there_is' }, errorCodes.INVALID_TOPIC_EXCEPTION],
  ['a name that is taken', { name: 'there.is' }, errorCodes.TOPIC_ALREADY_EXISTS],
  ['no partitions', { name: 't', partitions: 0 }, errorCodes.INVALID_PARTITIONS],
  ['too many partitions', { name: 't', partitions: 2_000_000_000 }, errorCodes.INVALID_PARTITIONS],
  ['three replicas', { name: 't', replication: 3 }, errorCodes.INVALID_REPLICATION_FACTOR],
  ['no replicas', { name: 't', replication: 0 }, errorCodes.INVALID_REPLICATION_FACTOR],
  ['an unknown config', { name: 't', configs: { 'no.such': '1' } }, errorCodes.INVALID_CONFIG],
  ['a number that is none', { name: 't', configs: { 'retention.ms': 'soon' } }, errorCodes.INVALID_CONFIG],
  [
    'a number out of range',
    { name: 't', configs: { 'min.insync.replicas': '0' } },
    errorCodes.INVALID_CONFIG,
  ],
  [
    'a policy that does not exist',
    { name: 't', configs: { 'cleanup.policy': 'shrink' } },
    errorCodes.INVALID_CONFIG,
  ],
  ['a config without a value', { name: 't', configs: { 'retention.ms': null } }, errorCodes.INVALID_CONFIG],
  ['another broker', { name: 't', assignments: [[2]] }, errorCodes.INVALID_REPLICA_ASSIGNMENT],
  [
    'numbers beside an assignment',
    { name: 't', partitions: 1, assignments: [[1]] },
    errorCodes.INVALID_REQUEST,
  ],
]
for (const [what, topic, error] of refused) {
  test(`${what}: no topic, and the protocol's error with an explanation`, async () => {
    await using broker = await startEmbeddedKafka({ topics: ['there.is'] })
    await using client = await RawClient.open(broker.port)
    const [result] = await create(client, [topic])
    assert.equal(result?.error, error)
    assert.ok(result.message)
    assert.equal(broker.stats().topics, 1)
  })
}

test('the broker defaults count where a request leaves the numbers open, and usual configs are taken', async () => {
  await using broker = await startEmbeddedKafka({
    defaultPartitions: 4,
    topicDefaults: { 'retention.ms': 777 },
  })
  await using client = await RawClient.open(broker.port)
  const configs = {
    'retention.bytes': '1000000',
    'cleanup.policy': 'compact,delete',
    'max.message.bytes': '2000',
    'min.insync.replicas': '2',
    'message.timestamp.type': 'LogAppendTime',
    'compression.type': 'zstd',
  }
  const [result] = await create(client, [{ name: 't', partitions: -1, replication: -1, configs }])
  assert.equal(result?.error, errorCodes.NONE)
  assert.equal(result.partitions, 4)
  assert.equal(result.configs.get('retention.ms'), '777')
  for (const [name, value] of Object.entries(configs)) assert.equal(result.configs.get(name), value)
  const [assigned] = await create(client, [{ name: 'assigned', assignments: [[1], [1]] }])
  assert.deepEqual([assigned?.error, assigned?.partitions], [errorCodes.NONE, 2])
})

test('a topic that a request names twice is not created, and checking alone creates nothing', async () => {
  await using broker = await startEmbeddedKafka()
  await using client = await RawClient.open(broker.port)
  const twice = await create(client, [{ name: 't' }, { name: 't' }, { name: 'other' }])
  assert.deepEqual(
    twice.map(({ error }) => error),
    [errorCodes.INVALID_REQUEST, errorCodes.INVALID_REQUEST, errorCodes.NONE],
  )
  const [checked] = await create(client, [{ name: 'checked' }], { validateOnly: true })
  assert.equal(checked?.error, errorCodes.NONE)
  const [bad] = await create(client, [{ name: 'a/b' }], { validateOnly: true })
  assert.equal(bad?.error, errorCodes.INVALID_TOPIC_EXCEPTION)
  assert.equal(broker.stats().topics, 1)
})

async function deleteTopics(client: RawClient, names: readonly string[], version: number): Promise<number[]> {
  const reader = await client.request({
    key: 20,
    version,
    flexible: version >= 4,
    body: (writer) => {
      writer.array(names, (name) => writer.string(name))
      writer.int32(1000)
      writer.tags()
    },
  })
  reader.int32()
  return reader.array((topic) => {
    topic.string()
    const error = topic.int16()
    if (version >= 5) assert.equal(topic.nullableString() === null, error === 0)
    topic.tags()
    return error
  })
}

test('topics are deleted at every version; a new one of the same name begins empty', async () => {
  await using broker = await startEmbeddedKafka()
  await using client = await RawClient.open(broker.port)
  for (let version = 1; version <= 5; version += 1) {
    broker.createTopic('t')
    await produce(client, { topic: 't', records: makeBatch() })
    assert.deepEqual(await deleteTopics(client, ['t', 'nope'], version), [
      errorCodes.NONE,
      errorCodes.UNKNOWN_TOPIC_OR_PARTITION,
    ])
    assert.equal(broker.stats().logBytes, 0)
    broker.createTopic('t')
    assert.equal((await fetch(client, { topic: 't' })).partitions[0]?.highWatermark, 0)
    broker.deleteTopic('t')
  }
})

async function grow(
  client: RawClient,
  name: string,
  count: number,
  options: { version?: number; assignments?: number[][]; validateOnly?: boolean } = {},
): Promise<number | undefined> {
  const version = options.version ?? 3
  const reader = await client.request({
    key: 37,
    version,
    flexible: version >= 2,
    body: (writer) => {
      writer.array([name], () => {
        writer.string(name)
        writer.int32(count)
        writer.nullableArray(options.assignments ?? null, (nodes) => {
          writer.array(nodes, (node) => writer.int32(node))
          writer.tags()
        })
        writer.tags()
      })
      writer.int32(1000)
      writer.boolean(options.validateOnly ?? false)
      writer.tags()
    },
  })
  reader.int32()
  const [result] = reader.array((topic) => {
    topic.string()
    const error = topic.int16()
    topic.nullableString()
    topic.tags()
    return error
  })
  return result
}

test('a topic grows and never shrinks, and keeps its records', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  await produce(client, { topic: 't', records: makeBatch() })
  for (let version = 0; version <= 3; version += 1)
    assert.equal(await grow(client, 't', version + 2, { version }), 0)
  assert.equal(await grow(client, 't', 9, { validateOnly: true }), errorCodes.NONE)
  assert.equal(await grow(client, 't', 5), errorCodes.INVALID_PARTITIONS)
  assert.equal(await grow(client, 't', 4), errorCodes.INVALID_PARTITIONS)
  assert.equal(await grow(client, 't', 2_000_000_000), errorCodes.INVALID_PARTITIONS)
  assert.equal(await grow(client, 'nope', 4), errorCodes.UNKNOWN_TOPIC_OR_PARTITION)
  assert.equal(await grow(client, 't', 6, { assignments: [[2]] }), errorCodes.INVALID_REPLICA_ASSIGNMENT)
  assert.equal(await grow(client, 't', 6, { assignments: [[1]] }), errorCodes.NONE)
  assert.equal(
    (await produce(client, { topic: 't', partition: 5, records: makeBatch() })).error,
    errorCodes.NONE,
  )
  assert.equal((await fetch(client, { topic: 't' })).partitions[0]?.highWatermark, 1)
})

async function deleteRecords(
  client: RawClient,
  offset: number,
  options: { version?: number; topic?: string } = {},
): Promise<{ lowWatermark: number; error: number } | undefined> {
  const version = options.version ?? 2
  const reader = await client.request({
    key: 21,
    version,
    flexible: version >= 2,
    body: (writer) => {
      writer.array([options.topic ?? 't'], (topic) => {
        writer.string(topic)
        writer.array([offset], (before) => {
          writer.int32(0)
          writer.int64(before)
          writer.tags()
        })
        writer.tags()
      })
      writer.int32(1000)
      writer.tags()
    },
  })
  reader.int32()
  let result: { lowWatermark: number; error: number } | undefined
  reader.array((topic) => {
    topic.string()
    topic.array((partition) => {
      partition.int32()
      result = { lowWatermark: partition.int64(), error: partition.int16() }
      partition.tags()
    })
    topic.tags()
  })
  return result
}

test('deleted records are out of range, those after them stay', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  for (let sent = 0; sent < 5; sent += 1) await produce(client, { topic: 't', records: makeBatch() })
  for (let version = 0; version <= 2; version += 1) {
    const result = await deleteRecords(client, version + 1, { version })
    assert.deepEqual(result, { lowWatermark: version + 1, error: errorCodes.NONE })
  }
  assert.equal(
    (await fetch(client, { topic: 't', offset: 2 })).partitions[0]?.error,
    errorCodes.OFFSET_OUT_OF_RANGE,
  )
  const [rest] = (await fetch(client, { topic: 't', offset: 3 })).partitions
  assert.deepEqual([rest?.logStartOffset, baseOffsets(rest?.records ?? null)], [3, [3, 4]])
  assert.equal((await deleteRecords(client, 6))?.error, errorCodes.OFFSET_OUT_OF_RANGE)
  const unknown = await deleteRecords(client, 0, { topic: 'nope' })
  assert.equal(unknown?.error, errorCodes.UNKNOWN_TOPIC_OR_PARTITION)
  assert.deepEqual(await deleteRecords(client, -1), { lowWatermark: 5, error: errorCodes.NONE })
  assert.equal(broker.stats().logBytes, 0)
  assert.equal((await produce(client, { topic: 't', records: makeBatch() })).baseOffset, 5)
})
