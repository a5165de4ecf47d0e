import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorCodes, startEmbeddedKafka } from '../src/index.ts'
import { makeBatch } from './support/batches.ts'
import { fetch, produce } from './support/calls.ts'
import type { ProduceResult } from './support/calls.ts'
import { RawClient } from './support/raw-client.ts'

interface Numbered {
  readonly sequence: number
  readonly epoch?: number
  readonly count?: number
  readonly producerId?: number
}

async function send(client: RawClient, numbered: Numbered): Promise<ProduceResult> {
  const { sequence, epoch = 0, count = 1, producerId = 7 } = numbered
  const values = Array.from({ length: count }, (_, index) => `value ${index}`)
  return await produce(client, { topic: 't', records: makeBatch({ values, producerId, epoch, sequence }) })
}

async function initProducerId(
  client: RawClient,
  options: { transactionalId?: string; id?: number; epoch?: number; version?: number } = {},
): Promise<{ error: number; id: number; epoch: number }> {
  const version = options.version ?? 4
  const reader = await client.request({
    key: 22,
    version,
    flexible: version >= 2,
    body: (writer) => {
      writer.nullableString(options.transactionalId ?? null)
      writer.int32(60_000)
      if (version >= 3) writer.int64(options.id ?? -1)
      if (version >= 3) writer.int16(options.epoch ?? -1)
      writer.tags()
    },
  })
  reader.int32()
  return { error: reader.int16(), id: reader.int64(), epoch: reader.int16() }
}

test('a batch that is sent again is answered with its first offset and appended once', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  for (let index = 0; index < 5; index += 1) {
    assert.equal((await send(client, { sequence: index * 2, count: 2 })).baseOffset, index * 2)
  }
  for (let index = 0; index < 5; index += 1) {
    const again = await send(client, { sequence: index * 2, count: 2 })
    assert.deepEqual([again.error, again.baseOffset], [errorCodes.NONE, index * 2])
  }
  assert.equal((await fetch(client, { topic: 't' })).partitions[0]?.highWatermark, 10)
})

test('the sixth batch back is not remembered: out of order', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  for (let sequence = 0; sequence < 6; sequence += 1) await send(client, { sequence })
  assert.equal((await send(client, { sequence: 0 })).error, errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER)
  assert.equal((await send(client, { sequence: 1 })).baseOffset, 1)
})

test('a gap in the sequence is refused until what is missing comes', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  await send(client, { sequence: 0 })
  assert.equal((await send(client, { sequence: 2 })).error, errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER)
  assert.equal((await send(client, { sequence: 1 })).baseOffset, 1)
  assert.equal((await send(client, { sequence: 2 })).baseOffset, 2)
})

test('a partition that knows nothing of a producer takes any first number, then refuses 0', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  assert.equal((await send(client, { sequence: 41 })).error, errorCodes.NONE)
  assert.equal((await send(client, { sequence: 0 })).error, errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER)
  assert.equal((await send(client, { sequence: 42 })).error, errorCodes.NONE)
})

test('a higher epoch starts at 0 and fences the lower one', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  await send(client, { sequence: 0, epoch: 0 })
  assert.equal((await send(client, { sequence: 5, epoch: 1 })).error, errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER)
  assert.equal((await send(client, { sequence: 0, epoch: 1 })).error, errorCodes.NONE)
  assert.equal((await send(client, { sequence: 1, epoch: 0 })).error, errorCodes.INVALID_PRODUCER_EPOCH)
  assert.equal((await send(client, { sequence: 1, epoch: 1 })).error, errorCodes.NONE)
})

test('sequence numbers go on at 0 after 2^31 - 1', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  assert.equal((await send(client, { sequence: 2_147_483_646, count: 3 })).error, errorCodes.NONE)
  assert.equal((await send(client, { sequence: 2_147_483_646, count: 3 })).baseOffset, 0)
  assert.equal((await send(client, { sequence: 1 })).baseOffset, 3)
})

test('producers are told apart', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  await send(client, { sequence: 0, producerId: 1 })
  assert.equal((await send(client, { sequence: 0, producerId: 2 })).baseOffset, 1)
})

test('each producer gets an id of its own with epoch 0, also one that tells an id', async () => {
  await using broker = await startEmbeddedKafka()
  await using client = await RawClient.open(broker.port)
  const ids = new Set<number>()
  for (let version = 0; version <= 4; version += 1) {
    const { error, id, epoch } = await initProducerId(client, { version })
    assert.deepEqual([error, epoch], [errorCodes.NONE, 0])
    ids.add(id)
  }
  const again = await initProducerId(client, { id: 3, epoch: 4 })
  assert.deepEqual([again.error, again.epoch], [errorCodes.NONE, 0])
  ids.add(again.id)
  assert.equal(ids.size, 6)
})

test('a transactional id is refused in so many words', async () => {
  await using broker = await startEmbeddedKafka()
  await using client = await RawClient.open(broker.port)
  assert.equal(
    (await initProducerId(client, { transactionalId: 'tx' })).error,
    errorCodes.UNSUPPORTED_VERSION,
  )
  assert.equal((await initProducerId(client, { transactionalId: '' })).error, errorCodes.INVALID_REQUEST)
})
