import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Reader, readRecordsBatch, crc32c } from '@platformatic/kafka'
import { bodySize, encodeBatch, type BatchRecord } from '../../src/transport/kafka/sending/batch-encoding.ts'
import type { RawHeader } from '../../src/wire/headers.ts'

const identity = { producerId: 4_294_967_301n, epoch: 7, sequence: 2_147_483_640 }

function batchRecord(
  key: string | null,
  value: Buffer | string | null,
  headers: readonly RawHeader[] = [],
  timestamp = 1_700_000_000_000,
): BatchRecord {
  const record = {
    topic: 't',
    key: key === null ? null : Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
    headers,
  }
  return { record, bodySize: bodySize(record), timestamp }
}

const header = (name: string, value: string | null): RawHeader => [
  Buffer.from(name),
  value === null ? null : Buffer.from(value),
]

describe('a record batch', () => {
  test('is read by another codec as it was written: key, value, headers, null and empty (trap 20)', () => {
    const records = [
      batchRecord('k', 'value', [
        header('twice', '1'),
        header('twice', '2'),
        header('null', null),
        header('', ''),
      ]),
      batchRecord(null, null),
      batchRecord('', ''),
      batchRecord('ключ', Buffer.alloc(300, 1), [header('ü'.repeat(100), 'x'.repeat(20_000))]),
    ]
    const batch = readRecordsBatch(Reader.from(encodeBatch(records, identity, 'none')))
    assert.deepEqual(
      batch.records.map(({ key, value, headers }) => ({ key, value, headers })),
      records.map(({ record: { key, value, headers } }) => ({
        key,
        value,
        headers: headers.map((one) => [...one]),
      })),
    )
    assert.deepEqual(
      batch.records.map((record) => record.offsetDelta),
      [0, 1, 2, 3],
    )
  })

  test('names its producer, epoch and first sequence, and ends where it says', () => {
    const bytes = encodeBatch([batchRecord('a', 'b'), batchRecord('c', 'd')], identity, 'none')
    const batch = readRecordsBatch(Reader.from(bytes))
    assert.deepEqual(
      [batch.producerId, batch.producerEpoch, batch.firstSequence, batch.lastOffsetDelta, batch.magic],
      [identity.producerId, identity.epoch, identity.sequence, 1, 2],
    )
    assert.equal(batch.length, bytes.length - 12)
  })

  test('has each record’s own time, also when the clock went back', () => {
    const times = [1_700_000_000_500, 1_700_000_000_000, 1_700_000_100_000]
    const batch = readRecordsBatch(
      Reader.from(
        encodeBatch(
          times.map((time) => batchRecord('k', 'v', [], time)),
          identity,
          'none',
        ),
      ),
    )
    assert.deepEqual(
      batch.records.map((record) => Number(batch.firstTimestamp + record.timestampDelta)),
      times,
    )
    assert.equal(Number(batch.maxTimestamp), times[2])
  })

  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    test(`compressed with ${compression}: reads back, with the checksum of what is sent`, () => {
      const records = Array.from({ length: 50 }, (_, index) =>
        batchRecord(`key ${index}`, 'much the same '.repeat(20)),
      )
      const bytes = encodeBatch(records, identity, compression)
      assert.equal(bytes.readUInt32BE(17), crc32c(bytes.subarray(21)))
      const batch = readRecordsBatch(Reader.from(bytes))
      assert.deepEqual(
        batch.records.map((record) => String(record.key)),
        records.map((one) => String(one.record.key)),
      )
      if (compression !== 'none') assert.ok(bytes.length < 5_000)
    })
  }

  test('that does not compress grows rather than being cut', () => {
    const noise = Buffer.from(Array.from({ length: 40 }, (_, index) => (index * 7919) % 256))
    const bytes = encodeBatch([batchRecord(null, noise)], identity, 'gzip')
    assert.deepEqual(readRecordsBatch(Reader.from(bytes)).records[0]!.value, noise)
  })
})
