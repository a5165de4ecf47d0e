import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorCodes, startEmbeddedKafka } from '../src/index.ts'
import type { Reader } from '../src/wire/reader.ts'
import { RawClient } from './support/raw-client.ts'

const zeroUuid = '00000000-0000-0000-0000-000000000000'

interface ApiVersions {
  readonly error: number
  readonly apis: ReadonlyMap<number, readonly [number, number]>
}

async function apiVersions(
  client: RawClient,
  version: number,
  answered: number = version,
): Promise<ApiVersions> {
  const reader = await client.request({
    key: 18,
    version,
    flexible: version >= 3,
    body: (writer) => {
      if (version < 3) return
      writer.string('test')
      writer.string('1.0')
      writer.tags()
    },
  })
  reader.flexible = answered >= 3
  const error = reader.int16()
  const apis = new Map<number, [number, number]>()
  reader.array((api) => {
    apis.set(api.int16(), [api.int16(), api.int16()])
    api.tags()
  })
  if (answered >= 1) reader.int32()
  reader.tags()
  assert.equal(reader.remaining, 0)
  return { error, apis }
}

/** What consumer groups add, which has tests of its own. */
const groupApis = new Set([8, 9, 10, 11, 12, 13, 14, 15, 16, 42, 47])

test('ApiVersions tells at every version what is served, Produce from 0 on', async () => {
  await using broker = await startEmbeddedKafka()
  await using client = await RawClient.open(broker.port)
  for (let version = 0; version <= 4; version += 1) {
    const { error, apis } = await apiVersions(client, version)
    assert.equal(error, errorCodes.NONE)
    assert.deepEqual(
      [...apis].filter(([key]) => !groupApis.has(key)).map(([key, range]) => `${key}: ${range.join('-')}`),
      [
        '0: 0-9',
        '1: 4-18',
        '2: 1-6',
        '3: 0-12',
        '18: 0-4',
        '19: 2-5',
        '20: 1-5',
        '21: 0-2',
        '22: 0-4',
        '23: 2-4',
        '32: 1-4',
        '37: 0-3',
        '44: 0-1',
        '60: 0-1',
      ],
    )
  }
})

test('an unknown version of ApiVersions is answered with error 35 as version 0, on a connection that stays', async () => {
  await using broker = await startEmbeddedKafka()
  await using client = await RawClient.open(broker.port)
  const { error, apis } = await apiVersions(client, 99, 0)
  assert.equal(error, errorCodes.UNSUPPORTED_VERSION)
  assert.deepEqual(apis.get(18), [0, 4])
  assert.equal((await apiVersions(client, 4)).error, errorCodes.NONE)
})

interface Metadata {
  readonly nodes: readonly string[]
  readonly clusterId: string | null
  readonly controller: number
  readonly topics: readonly { name: string | null; id: string; error: number; partitions: number }[]
}

type Wanted = { readonly name: string | null; readonly id?: string }

async function metadata(
  client: RawClient,
  version: number,
  wanted: readonly Wanted[] | null,
  mayCreate = false,
): Promise<Metadata> {
  const reader = await client.request({
    key: 3,
    version,
    flexible: version >= 9,
    body: (writer) => {
      writer.nullableArray(version === 0 ? (wanted ?? []) : wanted, ({ name, id }) => {
        if (version >= 10) {
          writer.uuid(id ?? zeroUuid)
          writer.nullableString(name)
        } else {
          writer.string(name ?? '')
        }
        writer.tags()
      })
      if (version >= 4) writer.boolean(mayCreate)
      if (version >= 8 && version <= 10) writer.boolean(false)
      if (version >= 8) writer.boolean(false)
      writer.tags()
    },
  })
  const result = readMetadata(reader, version)
  assert.equal(reader.remaining, 0)
  return result
}

function readMetadata(reader: Reader, version: number): Metadata {
  if (version >= 3) reader.int32()
  const nodes = reader.array((node) => {
    const text = `${node.int32()}@${node.string()}:${node.int32()}`
    if (version >= 1) assert.equal(node.nullableString(), null)
    node.tags()
    return text
  })
  const clusterId = version >= 2 ? reader.nullableString() : null
  const controller = version >= 1 ? reader.int32() : -1
  const topics = reader.array((topic) => {
    const error = topic.int16()
    const name = version >= 12 ? topic.nullableString() : topic.string()
    const id = version >= 10 ? topic.uuid() : zeroUuid
    if (version >= 1) assert.equal(topic.boolean(), false)
    const partitions = topic.array((partition) => {
      assert.equal(partition.int16(), errorCodes.NONE)
      const index = partition.int32()
      assert.equal(partition.int32(), 1)
      if (version >= 7) assert.equal(partition.int32(), 0)
      assert.deepEqual(
        partition.array((replica) => replica.int32()),
        [1],
      )
      assert.deepEqual(
        partition.array((replica) => replica.int32()),
        [1],
      )
      if (version >= 5)
        assert.deepEqual(
          partition.array((replica) => replica.int32()),
          [],
        )
      partition.tags()
      return index
    })
    if (version >= 8) topic.int32()
    topic.tags()
    return { name, id, error, partitions: partitions.length }
  })
  if (version >= 8 && version <= 10) reader.int32()
  reader.tags()
  return { nodes, clusterId, controller, topics }
}

test('Metadata tells nodes, topics and what does not exist, at every version', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['one', 'two.1:2'], clusterId: 'a-cluster' })
  await using client = await RawClient.open(broker.port)
  for (let version = 0; version <= 12; version += 1) {
    const some = await metadata(client, version, [
      { name: 'two.1' },
      { name: 'two_1' },
      { name: 'a/b' },
      { name: 'two.1' },
    ])
    assert.deepEqual(some.nodes, [`1@127.0.0.1:${broker.port}`])
    assert.equal(some.clusterId, version >= 2 ? 'a-cluster' : null)
    assert.equal(some.controller, version >= 1 ? 1 : -1)
    assert.deepEqual(
      some.topics.map(({ name, error, partitions }) => [name, error, partitions]),
      [
        ['two.1', errorCodes.NONE, 2],
        ['two_1', errorCodes.UNKNOWN_TOPIC_OR_PARTITION, 0],
        ['a/b', errorCodes.INVALID_TOPIC_EXCEPTION, 0],
      ],
    )
    const all = await metadata(client, version, null)
    assert.deepEqual(
      all.topics.map(({ name }) => name),
      ['one', 'two.1'],
    )
    if (version >= 1) assert.deepEqual((await metadata(client, version, [])).topics, [])
  }
})

test('a topic is found by its id too', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['one', 'two:2'] })
  await using client = await RawClient.open(broker.port)
  const [byName] = (await metadata(client, 12, [{ name: 'two' }])).topics
  assert.ok(byName)
  assert.notEqual(byName.id, zeroUuid)
  const [byId] = (await metadata(client, 12, [{ name: null, id: byName.id }])).topics
  assert.deepEqual(byId, byName)
  const unknownId = '01234567-89ab-cdef-0123-456789abcdef'
  const [unknown] = (await metadata(client, 12, [{ name: null, id: unknownId }])).topics
  assert.deepEqual([unknown?.name, unknown?.error], [null, errorCodes.UNKNOWN_TOPIC_ID])
})

test('asking for a topic makes it only if the broker and the request both say so', async () => {
  await using strict = await startEmbeddedKafka()
  await using strictClient = await RawClient.open(strict.port)
  await metadata(strictClient, 9, [{ name: 't' }], true)
  assert.equal(strict.stats().topics, 0)

  await using lax = await startEmbeddedKafka({ autoCreateTopics: true, defaultPartitions: 3 })
  await using client = await RawClient.open(lax.port)
  const [refused] = (await metadata(client, 9, [{ name: 't' }], false)).topics
  assert.equal(refused?.error, errorCodes.UNKNOWN_TOPIC_OR_PARTITION)
  const [made] = (await metadata(client, 9, [{ name: 't' }], true)).topics
  assert.deepEqual([made?.error, made?.partitions], [errorCodes.NONE, 3])
  const [bad] = (await metadata(client, 9, [{ name: 'a/b' }], true)).topics
  assert.equal(bad?.error, errorCodes.INVALID_TOPIC_EXCEPTION)
})

test('DescribeCluster names the only broker; controllers are no endpoints of their own', async () => {
  await using broker = await startEmbeddedKafka({ clusterId: 'a-cluster' })
  await using client = await RawClient.open(broker.port)
  const describe = async (version: number, endpointType: number): Promise<unknown[]> => {
    const reader = await client.request({
      key: 60,
      version,
      flexible: true,
      body: (writer) => {
        writer.boolean(false)
        if (version >= 1) writer.int8(endpointType)
        writer.tags()
      },
    })
    reader.int32()
    const error = reader.int16()
    reader.nullableString()
    if (version >= 1) reader.int8()
    const clusterId = reader.string()
    const controller = reader.int32()
    const nodes = reader.array((node) => {
      const text = `${node.int32()}@${node.string()}:${node.int32()}`
      node.nullableString()
      node.tags()
      return text
    })
    return [error, clusterId, controller, nodes]
  }
  const expected = [errorCodes.NONE, 'a-cluster', 1, [`1@127.0.0.1:${broker.port}`]]
  assert.deepEqual(await describe(0, 1), expected)
  assert.deepEqual(await describe(1, 1), expected)
  assert.deepEqual((await describe(1, 2))[0], errorCodes.INVALID_REQUEST)
})

test('clients are told the advertised host and port, wherever it listens', async () => {
  const advertised = { advertisedHost: 'broker.example', advertisedPort: 19_092 }
  await using broker = await startEmbeddedKafka({ topics: ['t'], ...advertised })
  assert.deepEqual(broker.brokers, ['broker.example:19092'])
  await using client = await RawClient.open(broker.port)
  assert.deepEqual((await metadata(client, 12, [])).nodes, ['1@broker.example:19092'])
  const coordinator = await client.request({ key: 10, version: 0, body: (writer) => writer.string('g') })
  coordinator.int16()
  coordinator.int32()
  assert.deepEqual([coordinator.string(), coordinator.int32()], ['broker.example', 19_092])
})
