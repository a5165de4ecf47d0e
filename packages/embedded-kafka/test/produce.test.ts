import assert from 'node:assert/strict'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { test } from 'node:test'
import { errorCodes, startEmbeddedKafka } from '../src/index.ts'
import { batchLayout } from '../src/records/batch.ts'
import { makeBatch, withCrc } from './support/batches.ts'
import { baseOffsets, fetch, produce, produceRequest } from './support/calls.ts'
import { RawClient } from './support/raw-client.ts'

test('batches get consecutive offsets and come back byte for byte, at every version', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  let next = 0
  for (let version = 3; version <= 9; version += 1) {
    const batch = makeBatch({ values: ['one', 'two', `three v${version}`] })
    const result = await produce(client, { topic: 't', records: batch, version })
    assert.deepEqual(
      { error: result.error, baseOffset: result.baseOffset, appendTime: result.appendTime },
      { error: errorCodes.NONE, baseOffset: next, appendTime: -1 },
    )
    const fetched = await fetch(client, { topic: 't', offset: next, version: Math.max(4, version) })
    const records = fetched.partitions[0]?.records
    assert.deepEqual(records?.subarray(batchLayout.magic), batch.subarray(batchLayout.magic))
    assert.equal(records?.readInt32BE(batchLayout.leaderEpoch), 0)
    assert.deepEqual(baseOffsets(records ?? null), [next])
    next += 3
  }
})

const refused: readonly [string, number, () => Buffer | null][] = [
  ['a batch whose CRC is wrong', errorCodes.CORRUPT_MESSAGE, () => flipLastByte(makeBatch())],
  ['a batch that is cut off', errorCodes.CORRUPT_MESSAGE, () => makeBatch().subarray(0, -1)],
  ['a few bytes', errorCodes.CORRUPT_MESSAGE, () => Buffer.from('abc')],
  [
    'a batch of negative length',
    errorCodes.CORRUPT_MESSAGE,
    () => changed((batch) => batch.writeInt32BE(-5, 8)),
  ],
  ['no records at all', errorCodes.INVALID_RECORD, () => null],
  ['two batches at once', errorCodes.INVALID_RECORD, () => Buffer.concat([makeBatch(), makeBatch()])],
  ['an old message format', errorCodes.INVALID_RECORD, () => changed((batch) => batch.writeInt8(1, 16))],
  ['control records', errorCodes.INVALID_RECORD, () => makeBatch({ attributes: 0x20 })],
  ['an unknown codec', errorCodes.UNSUPPORTED_COMPRESSION_TYPE, () => makeBatch({ attributes: 5 })],
  ['more records than it holds', errorCodes.INVALID_RECORD, () => withCounts(2, 1)],
  ['fewer records than it holds', errorCodes.INVALID_RECORD, () => withCounts(1, 0, ['a', 'b'])],
  ['a count that does not fit the offsets', errorCodes.INVALID_RECORD, () => withCounts(1, 7)],
  ['no record in the batch', errorCodes.INVALID_RECORD, () => withCounts(0, -1)],
  [
    'a batch of a transaction',
    errorCodes.INVALID_TXN_STATE,
    () => makeBatch({ attributes: 0x10, producerId: 1, epoch: 0, sequence: 0 }),
  ],
  [
    'a time far ahead',
    errorCodes.INVALID_TIMESTAMP,
    () => makeBatch({ timestamps: [Date.now() + 7_200_000] }),
  ],
]
for (const [what, error, records] of refused) {
  test(`${what}: refused with the protocol's error, and nothing is appended`, async () => {
    await using broker = await startEmbeddedKafka({ topics: ['t'] })
    await using client = await RawClient.open(broker.port)
    const result = await produce(client, { topic: 't', records: records() })
    assert.equal(result.error, error)
    assert.equal(result.baseOffset, -1)
    assert.ok(result.message, 'the error is explained')
    const next = await produce(client, { topic: 't', records: makeBatch() })
    assert.deepEqual(
      { error: next.error, baseOffset: next.baseOffset },
      { error: errorCodes.NONE, baseOffset: 0 },
    )
  })
}

function changed(change: (batch: Buffer) => void): Buffer {
  const batch = makeBatch()
  change(batch)
  return withCrc(batch)
}

function flipLastByte(batch: Buffer): Buffer {
  const last = batch.length - 1
  batch.writeUInt8(batch.readUInt8(last) ^ 1, last)
  return batch
}

function withCounts(records: number, lastOffsetDelta: number, values?: string[]): Buffer {
  const batch = makeBatch(values === undefined ? {} : { values })
  batch.writeInt32BE(lastOffsetDelta, batchLayout.lastOffsetDelta)
  batch.writeInt32BE(records, batchLayout.recordCount)
  return withCrc(batch)
}

test('an unknown topic or partition and an acks that does not exist have their errors', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  const records = makeBatch()
  assert.equal(
    (await produce(client, { topic: 'nope', records })).error,
    errorCodes.UNKNOWN_TOPIC_OR_PARTITION,
  )
  const partition = await produce(client, { topic: 't', partition: 1, records })
  assert.equal(partition.error, errorCodes.UNKNOWN_TOPIC_OR_PARTITION)
  assert.equal(
    (await produce(client, { topic: 't', records, acks: 2 })).error,
    errorCodes.INVALID_REQUIRED_ACKS,
  )
})

test('a batch above max.message.bytes is too large, one at the limit is not', async () => {
  const batch = makeBatch({ values: ['x'.repeat(2000)] })
  await using broker = await startEmbeddedKafka({
    topics: [
      { name: 'fits', configs: { 'max.message.bytes': batch.length } },
      { name: 'small', configs: { 'max.message.bytes': batch.length - 1 } },
    ],
  })
  await using client = await RawClient.open(broker.port)
  assert.equal((await produce(client, { topic: 'fits', records: batch })).error, errorCodes.NONE)
  assert.equal(
    (await produce(client, { topic: 'small', records: batch })).error,
    errorCodes.MESSAGE_TOO_LARGE,
  )
})

test('compressed batches are kept as they are; zstd takes Produce 7', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  const gzip = makeBatch({ attributes: 1, compress: (records) => gzipSync(records) })
  const zstd = makeBatch({ attributes: 4, compress: (records) => zstdCompressSync(records) })
  assert.equal((await produce(client, { topic: 't', records: gzip, version: 3 })).error, errorCodes.NONE)
  const early = await produce(client, { topic: 't', records: zstd, version: 6 })
  assert.equal(early.error, errorCodes.UNSUPPORTED_COMPRESSION_TYPE)
  assert.equal((await produce(client, { topic: 't', records: zstd, version: 7 })).error, errorCodes.NONE)
  const records = (await fetch(client, { topic: 't' })).partitions[0]?.records
  assert.equal(records?.length, gzip.length + zstd.length)
})

test('acks=0 gets no answer, and a failed one closes the connection', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  client.send(produceRequest({ topic: 't', records: makeBatch(), acks: 0 }))
  // Answers come in order: the next one is that of the second request, or the ids would not match.
  const next = await produce(client, { topic: 't', records: makeBatch() })
  assert.equal(next.baseOffset, 1)
  client.send(produceRequest({ topic: 'nope', records: makeBatch(), acks: 0 }))
  await client.closed
})

test('with LogAppendTime the broker puts its own time in, under a CRC that is true', async () => {
  await using broker = await startEmbeddedKafka({
    topics: [{ name: 't', configs: { 'message.timestamp.type': 'LogAppendTime' } }],
  })
  await using client = await RawClient.open(broker.port)
  const before = Date.now()
  const result = await produce(client, { topic: 't', records: makeBatch({ timestamps: [5] }) })
  assert.ok(result.appendTime >= before && result.appendTime <= Date.now())
  const stored = (await fetch(client, { topic: 't' })).partitions[0]?.records
  assert.ok(stored)
  assert.equal(Number(stored.readBigInt64BE(batchLayout.maxTimestamp)), result.appendTime)
  assert.equal(stored.readInt16BE(batchLayout.attributes) & 0x08, 0x08)
  const crc = stored.readUInt32BE(batchLayout.crc)
  assert.equal(withCrc(Buffer.from(stored)).readUInt32BE(batchLayout.crc), crc)
})

test('a malformed request leaves no part of itself in the log', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t:2'] })
  await using bad = await RawClient.open(broker.port)
  bad.send({
    key: 0,
    version: 7,
    body: (writer) => {
      writer.nullableString(null)
      writer.int16(1)
      writer.int32(1000)
      writer.int32(1)
      writer.string('t')
      writer.int32(2)
      writer.int32(0)
      writer.bytes(makeBatch())
      writer.int32(1)
      writer.int32(1_000_000)
    },
  })
  await bad.closed
  await using client = await RawClient.open(broker.port)
  assert.equal((await fetch(client, { topic: 't' })).partitions[0]?.highWatermark, 0)
})
