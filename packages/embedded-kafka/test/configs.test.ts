import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorCodes, startEmbeddedKafka } from '../src/index.ts'
import { makeBatch } from './support/batches.ts'
import { produce } from './support/calls.ts'
import { RawClient } from './support/raw-client.ts'

const topic = 2
const broker = 4
const [set, remove, append, subtract] = [0, 1, 2, 3]

interface Described {
  readonly error: number
  /** Name to value and source. */
  readonly configs: ReadonlyMap<string, readonly [string | null, number]>
}

async function describe(
  client: RawClient,
  type: number,
  name: string,
  keys: readonly string[] | null = null,
  version = 4,
): Promise<Described> {
  const reader = await client.request({
    key: 32,
    version,
    flexible: version >= 4,
    body: (writer) => {
      writer.array([type], () => {
        writer.int8(type)
        writer.string(name)
        writer.nullableArray(keys, (key) => writer.string(key))
        writer.tags()
      })
      writer.boolean(true)
      if (version >= 3) writer.boolean(false)
      writer.tags()
    },
  })
  reader.int32()
  const [result] = reader.array((resource) => {
    const error = resource.int16()
    resource.nullableString()
    resource.int8()
    resource.string()
    const configs = new Map<string, [string | null, number]>()
    resource.array((config) => {
      const key = config.string()
      const value = config.nullableString()
      config.boolean()
      const source = config.int8()
      config.boolean()
      configs.set(key, [value, source])
      config.array((synonym) => {
        synonym.string()
        synonym.nullableString()
        synonym.int8()
        synonym.tags()
      })
      if (version >= 3) {
        config.int8()
        config.nullableString()
      }
      config.tags()
    })
    resource.tags()
    return { error, configs }
  })
  reader.tags()
  assert.equal(reader.remaining, 0)
  assert.ok(result)
  return result
}

async function alter(
  client: RawClient,
  name: string,
  alterations: readonly (readonly [key: string, operation: number, value: string | null])[],
  options: { version?: number; validateOnly?: boolean; type?: number } = {},
): Promise<number | undefined> {
  const version = options.version ?? 1
  const reader = await client.request({
    key: 44,
    version,
    flexible: version >= 1,
    body: (writer) => {
      writer.array([name], () => {
        writer.int8(options.type ?? topic)
        writer.string(name)
        writer.array(alterations, ([key, operation, value]) => {
          writer.string(key)
          writer.int8(operation)
          writer.nullableString(value)
          writer.tags()
        })
        writer.tags()
      })
      writer.boolean(options.validateOnly ?? false)
      writer.tags()
    },
  })
  reader.int32()
  const [error] = reader.array((resource) => {
    const code = resource.int16()
    resource.nullableString()
    resource.int8()
    resource.string()
    resource.tags()
    return code
  })
  return error
}

test('a topic describes what was set and what is default, at every version', async () => {
  await using kafka = await startEmbeddedKafka({ topics: [{ name: 't', configs: { 'retention.ms': 5000 } }] })
  await using client = await RawClient.open(kafka.port)
  for (let version = 1; version <= 4; version += 1) {
    const { error, configs } = await describe(client, topic, 't', null, version)
    assert.equal(error, errorCodes.NONE)
    assert.deepEqual(configs.get('retention.ms'), ['5000', 1])
    assert.deepEqual(configs.get('cleanup.policy'), ['delete', 5])
    const some = await describe(client, topic, 't', ['retention.ms'], version)
    assert.deepEqual([...some.configs.keys()], ['retention.ms'])
  }
})

test('the broker describes its settings; others have none', async () => {
  await using kafka = await startEmbeddedKafka({ defaultPartitions: 7 })
  await using client = await RawClient.open(kafka.port)
  assert.equal((await describe(client, broker, '1')).configs.get('num.partitions')?.[0], '7')
  assert.equal((await describe(client, broker, '2')).error, errorCodes.INVALID_REQUEST)
  assert.equal((await describe(client, topic, 'nope')).error, errorCodes.UNKNOWN_TOPIC_OR_PARTITION)
  assert.equal((await describe(client, 8, 'logger')).error, errorCodes.INVALID_REQUEST)
})

test('an altered config counts from then on', async () => {
  await using kafka = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(kafka.port)
  const records = makeBatch({ values: ['x'.repeat(500)] })
  assert.equal(
    await alter(client, 't', [['max.message.bytes', set, '100']], { validateOnly: true }),
    errorCodes.NONE,
  )
  assert.equal((await produce(client, { topic: 't', records })).error, errorCodes.NONE)
  assert.equal(await alter(client, 't', [['max.message.bytes', set, '100']], { version: 0 }), errorCodes.NONE)
  assert.equal((await produce(client, { topic: 't', records })).error, errorCodes.MESSAGE_TOO_LARGE)
  assert.equal(await alter(client, 't', [['max.message.bytes', remove, null]]), errorCodes.NONE)
  assert.equal((await produce(client, { topic: 't', records })).error, errorCodes.NONE)
})

test('lists grow and shrink by element', async () => {
  await using kafka = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(kafka.port)
  const policy = async (): Promise<string | null | undefined> =>
    (await describe(client, topic, 't')).configs.get('cleanup.policy')?.[0]
  assert.equal(await alter(client, 't', [['cleanup.policy', append, 'compact']]), errorCodes.NONE)
  assert.equal(await policy(), 'delete,compact')
  assert.equal(await alter(client, 't', [['cleanup.policy', subtract, 'delete']]), errorCodes.NONE)
  assert.equal(await policy(), 'compact')
})

test('what cannot be altered is refused and changes nothing', async () => {
  await using kafka = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(kafka.port)
  const good = ['retention.bytes', set, '5'] as const
  assert.equal(await alter(client, 't', [good, ['no.such', set, '1']]), errorCodes.INVALID_CONFIG)
  assert.equal(await alter(client, 't', [good, ['retention.ms', set, 'soon']]), errorCodes.INVALID_CONFIG)
  assert.equal(await alter(client, 't', [good, ['retention.ms', append, '5']]), errorCodes.INVALID_CONFIG)
  assert.equal(await alter(client, 't', [good, ['cleanup.policy', append, 'x']]), errorCodes.INVALID_CONFIG)
  assert.equal(await alter(client, 't', [good, ['retention.ms', set, null]]), errorCodes.INVALID_REQUEST)
  assert.equal(await alter(client, 'nope', [good]), errorCodes.UNKNOWN_TOPIC_OR_PARTITION)
  assert.equal(await alter(client, '1', [good], { type: broker }), errorCodes.INVALID_REQUEST)
  assert.deepEqual((await describe(client, topic, 't')).configs.get('retention.bytes'), [
    String(64 * 1024 * 1024),
    4,
  ])
})
