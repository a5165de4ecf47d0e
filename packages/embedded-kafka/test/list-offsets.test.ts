import assert from 'node:assert/strict'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { test } from 'node:test'
import { errorCodes, startEmbeddedKafka } from '../src/index.ts'
import { firstRecordSince } from '../src/records/record-times.ts'
import { makeBatch } from './support/batches.ts'
import { produce } from './support/calls.ts'
import { RawClient } from './support/raw-client.ts'

interface Listed {
  readonly error: number
  readonly timestamp: number
  readonly offset: number
}

async function listOffset(
  client: RawClient,
  timestamp: number,
  options: { version?: number; topic?: string; leaderEpoch?: number } = {},
): Promise<Listed | undefined> {
  const version = options.version ?? 6
  const reader = await client.request({
    key: 2,
    version,
    flexible: version >= 6,
    body: (writer) => {
      writer.int32(-1)
      if (version >= 2) writer.int8(0)
      writer.array([options.topic ?? 't'], (topic) => {
        writer.string(topic)
        writer.array([timestamp], (time) => {
          writer.int32(0)
          if (version >= 4) writer.int32(options.leaderEpoch ?? -1)
          writer.int64(time)
          writer.tags()
        })
        writer.tags()
      })
      writer.tags()
    },
  })
  if (version >= 2) reader.int32()
  let listed: Listed | undefined
  reader.array((topic) => {
    topic.string()
    topic.array((partition) => {
      partition.int32()
      listed = { error: partition.int16(), timestamp: partition.int64(), offset: partition.int64() }
      if (version >= 4) assert.equal(partition.int32(), listed.offset === -1 ? -1 : 0)
      partition.tags()
    })
    topic.tags()
  })
  reader.tags()
  assert.equal(reader.remaining, 0)
  return listed
}

test('earliest, latest and the first record of a time are found at every version', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  await produce(client, { topic: 't', records: makeBatch({ values: ['a', 'b'], timestamps: [100, 200] }) })
  await produce(client, {
    topic: 't',
    records: makeBatch({ values: ['c', 'd', 'e'], timestamps: [300, 250, 400] }),
  })
  for (let version = 1; version <= 6; version += 1) {
    const offsets: unknown[] = []
    for (const time of [-2, -1, 0, 100, 101, 200, 201, 301, 400, 401]) {
      offsets.push([time, (await listOffset(client, time, { version }))?.offset])
    }
    assert.deepEqual(offsets, [
      [-2, 0],
      [-1, 5],
      [0, 0],
      [100, 0],
      [101, 1],
      [200, 1],
      [201, 2],
      [301, 4],
      [400, 4],
      [401, -1],
    ])
  }
  assert.equal((await listOffset(client, 201))?.timestamp, 300)
})

/** A snappy block that holds everything as it is: one literal. */
function snappy(records: Buffer): Buffer {
  return Buffer.concat([Buffer.from([records.length, (records.length - 1) << 2]), records])
}

/** An LZ4 frame of one stored block. */
function lz4(records: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(records.length + 0x80000000)
  return Buffer.concat([Buffer.from([4, 0x22, 0x4d, 0x18, 0x60, 0x40, 0]), length, records, Buffer.alloc(4)])
}

test('records inside compressed batches are found by their own time', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  const codecs = [
    (records: Buffer) => gzipSync(records),
    snappy,
    lz4,
    (records: Buffer) => zstdCompressSync(records),
  ]
  for (const [index, compress] of codecs.entries()) {
    const base = index * 1000
    const values = ['a', 'b', 'c']
    const timestamps = [base + 100, base + 200, base + 300]
    const records = makeBatch({ values, timestamps, attributes: index + 1, compress })
    assert.equal((await produce(client, { topic: 't', records })).error, errorCodes.NONE)
    assert.deepEqual(await listOffset(client, base + 150), {
      error: errorCodes.NONE,
      timestamp: base + 200,
      offset: index * 3 + 1,
    })
  }
})

test('a batch that cannot be unpacked answers with its start', () => {
  const records = makeBatch({
    values: ['a', 'b'],
    timestamps: [1, 9],
    attributes: 1,
    compress: () => Buffer.from('no'),
  })
  assert.deepEqual(firstRecordSince(records, 5, { unpackedBytes: 0 }), { timestamp: 9, offset: 0 })
})

test('unknown partitions, unknown epochs and times that have no meaning are errors', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  const nothing = { timestamp: -1, offset: -1 }
  assert.deepEqual(await listOffset(client, -1, { topic: 'nope' }), {
    error: errorCodes.UNKNOWN_TOPIC_OR_PARTITION,
    ...nothing,
  })
  assert.deepEqual(await listOffset(client, -1, { leaderEpoch: 3 }), {
    error: errorCodes.UNKNOWN_LEADER_EPOCH,
    ...nothing,
  })
  assert.equal((await listOffset(client, -7))?.error, errorCodes.UNSUPPORTED_VERSION)
})

test('OffsetForLeaderEpoch ends the only epoch at the end of the log', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  await produce(client, { topic: 't', records: makeBatch({ values: ['a', 'b'] }) })
  const ends = async (version: number, epoch: number, current = -1, topic = 't'): Promise<number[]> => {
    const reader = await client.request({
      key: 23,
      version,
      flexible: version >= 4,
      body: (writer) => {
        if (version >= 3) writer.int32(-1)
        writer.array([topic], () => {
          writer.string(topic)
          writer.array([epoch], () => {
            writer.int32(0)
            writer.int32(current)
            writer.int32(epoch)
            writer.tags()
          })
          writer.tags()
        })
        writer.tags()
      },
    })
    reader.int32()
    const result: number[] = []
    reader.array((one) => {
      one.string()
      one.array((partition) => {
        result.push(partition.int16())
        partition.int32()
        result.push(partition.int32(), partition.int64())
        partition.tags()
      })
      one.tags()
    })
    return result
  }
  for (let version = 2; version <= 4; version += 1) assert.deepEqual(await ends(version, 0), [0, 0, 2])
  assert.deepEqual(await ends(4, 7), [errorCodes.NONE, -1, -1])
  assert.deepEqual(await ends(4, 0, 7), [errorCodes.UNKNOWN_LEADER_EPOCH, -1, -1])
  assert.deepEqual(await ends(4, 0, -1, 'nope'), [errorCodes.UNKNOWN_TOPIC_OR_PARTITION, -1, -1])
})
