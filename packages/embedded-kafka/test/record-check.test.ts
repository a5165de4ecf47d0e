import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deflateRawSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { errorCodes, startEmbeddedKafka } from '../src/index.ts'
import { batchLayout, readBatchHeader } from '../src/records/batch.ts'
import { checkRecords } from '../src/records/record-check.ts'
import { Writer } from '../src/wire/writer.ts'
import { makeBatch, withCrc } from './support/batches.ts'
import { fetch, produce } from './support/calls.ts'
import { RawClient } from './support/raw-client.ts'

/** A record from these varints and bytes, after its attributes; with its length before it unless another is given. */
function record(parts: readonly (number | Buffer)[], length?: number): Buffer {
  const body = new Writer()
  body.int8(0)
  for (const part of parts) {
    if (typeof part === 'number') body.varint(part)
    else body.raw(part)
  }
  const bytes = body.toBuffer()
  const before = new Writer()
  before.varint(length ?? bytes.length)
  return Buffer.concat([before.toBuffer(), bytes])
}

const text = Buffer.from('text')
const good = record([0, 0, 4, text, 4, text, 1, 4, text, -1])
const bad: readonly (readonly [what: string, records: Buffer])[] = [
  ['nothing', Buffer.alloc(0)],
  ['a length of no record', Buffer.of(0)],
  ['a negative length', record([0, 0, -1, -1, 0], -5)],
  ['a length beyond the batch', record([0, 0, -1, -1, 0], 40)],
  ['a length short of its fields', record([0, 0, 4, text, -1, 0], 5)],
  ['an offset delta that is not its number', record([0, 1, -1, -1, 0])],
  ['a negative offset delta', record([0, -1, -1, -1, 0])],
  ['a key beyond the record', record([0, 0, 63, text, -1, 0])],
  ['a key of negative length', record([0, 0, -2, -1, 0])],
  ['a value beyond the record', record([0, 0, -1, 63, text, 0])],
  ['a value of negative length', record([0, 0, -1, -7, 0])],
  ['a negative number of headers', record([0, 0, -1, -1, -1])],
  ['more headers than there are', record([0, 0, -1, -1, 2, 4, text, -1])],
  ['a header without a name', record([0, 0, -1, -1, 1, -1, -1])],
  ['a header value beyond the record', record([0, 0, -1, -1, 1, 4, text, 63])],
  ['bytes after its headers', record([0, 0, -1, -1, 0, 0])],
  ['a second record that it does not claim', Buffer.concat([good, record([0, 1, -1, -1, 0])])],
  ['a byte after its record', Buffer.concat([good, Buffer.of(0)])],
  ['a number that does not end', Buffer.concat([Buffer.of(24, 0), Buffer.alloc(11, 0xff)])],
]

for (const [what, records] of bad) {
  test(`a record with ${what} is INVALID_RECORD, compressed or not, and the partition goes on`, async () => {
    await using broker = await startEmbeddedKafka({ topics: ['t'] })
    await using client = await RawClient.open(broker.port)
    const codecs = [(bytes: Buffer) => bytes, gzipSync, undefined, undefined, zstdCompressSync]
    for (const [attributes, compress] of codecs.entries()) {
      if (compress === undefined) continue
      const sent = makeBatch({ attributes, compress: () => compress(records) })
      const { error, message } = await produce(client, { topic: 't', records: sent })
      assert.equal(error, errorCodes.INVALID_RECORD, `codec ${attributes}: ${message}`)
    }
    const { error, baseOffset } = await produce(client, { topic: 't', records: makeBatch() })
    assert.deepEqual([error, baseOffset], [errorCodes.NONE, 0])
  })
}

test('a record with everything that one can have passes', () => {
  const headers = Array.from({ length: 3 }, () => [4, text, 0])
  const full = record([-5, 0, 0, 0, 3, ...headers.flat()])
  assert.deepEqual(checkRecords(Buffer.concat([full, record([2 ** 40, 1, -1, -1, 0])]), 2), {
    leastTimestampDelta: -5,
    greatestTimestampDelta: 2 ** 40,
    allHaveKeys: false,
  })
})

test('a record that stands within another one is no record of the batch', () => {
  const within = record([0, 1, -1, -1, 0])
  assert.throws(
    () => checkRecords(record([0, 0, -1, -1, 0, within]), 2),
    /record 0 .* bytes after its headers/,
  )
})

test('bytes that are not of the codec that the batch names are INVALID_RECORD', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  const garbage = Buffer.from('garbage garbage garbage')
  for (const attributes of [1, 2, 3, 4]) {
    for (const bytes of [garbage, deflateRawSync(good), Buffer.alloc(0)]) {
      const records = makeBatch({ attributes, compress: () => bytes })
      const { error } = await produce(client, { topic: 't', records })
      assert.equal(error, errorCodes.INVALID_RECORD, `codec ${attributes}`)
    }
  }
})

test('a batch that unpacks to more than maxUnpackedBytes is MESSAGE_TOO_LARGE, one below it is kept', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'], maxUnpackedBytes: 100_000 })
  await using client = await RawClient.open(broker.port)
  for (const [attributes, compress] of [[1, gzipSync] as const, [4, zstdCompressSync] as const]) {
    const of = (size: number): Buffer => makeBatch({ values: ['x'.repeat(size)], attributes, compress })
    const large = await produce(client, { topic: 't', records: of(100_000) })
    assert.equal(large.error, errorCodes.MESSAGE_TOO_LARGE)
    assert.match(large.message ?? '', /maxUnpackedBytes = 100000/)
    assert.equal((await produce(client, { topic: 't', records: of(90_000) })).error, errorCodes.NONE)
  }
})

test('the largest timestamp of a batch is that of its records, whatever its header says', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  const records = makeBatch({ values: ['a', 'b'], timestamps: [1000, 5000] })
  records.writeBigInt64BE(9_000n, batchLayout.maxTimestamp)
  assert.equal((await produce(client, { topic: 't', records: withCrc(records) })).error, errorCodes.NONE)
  const [partition] = (await fetch(client, { topic: 't' })).partitions
  const stored = partition?.records ?? assert.fail('nothing came')
  assert.equal(readBatchHeader(stored).maxTimestamp, 5000)
  const crc = stored.readUInt32BE(batchLayout.crc)
  assert.equal(withCrc(Buffer.from(stored)).readUInt32BE(batchLayout.crc), crc)
})

test('timestamps too far ahead or behind are INVALID_TIMESTAMP, in any record', async () => {
  const configs = { 'message.timestamp.before.max.ms': 60_000 }
  await using broker = await startEmbeddedKafka({ topics: [{ name: 't', configs }] })
  await using client = await RawClient.open(broker.port)
  const now = Date.now()
  const errorOf = async (timestamps: number[]): Promise<number> => {
    const records = makeBatch({ values: ['a', 'b'], timestamps })
    return (await produce(client, { topic: 't', records })).error
  }
  assert.equal(await errorOf([now, now - 50_000]), errorCodes.NONE)
  assert.equal(await errorOf([now, now - 600_000]), errorCodes.INVALID_TIMESTAMP)
  assert.equal(await errorOf([now, now + 7_200_000]), errorCodes.INVALID_TIMESTAMP)
})

test('a compacted topic takes records with keys only', async () => {
  const configs = { 'cleanup.policy': 'compact' }
  await using broker = await startEmbeddedKafka({ topics: [{ name: 't', configs }] })
  await using client = await RawClient.open(broker.port)
  const keyless = await produce(client, { topic: 't', records: makeBatch() })
  assert.equal(keyless.error, errorCodes.INVALID_RECORD)
  assert.equal(
    (await produce(client, { topic: 't', records: makeBatch({ key: 'k' }) })).error,
    errorCodes.NONE,
  )
})
