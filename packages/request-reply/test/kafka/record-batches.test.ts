import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createRecordsBatch, crc32c, type MessageRecord } from '@platformatic/kafka'
import type { AbortedTransaction } from '../../src/transport/kafka/aborted-transactions.ts'
import { AnswerMemory, RecordBatches, type Stretch } from '../../src/transport/kafka/record-batches.ts'
import type { IncomingRecord } from '../../src/transport/transport.ts'

/** A batch at this offset of the log, as a broker stores it. */
function batchAt(
  offset: number,
  messages: readonly Partial<MessageRecord>[],
  attributes = 0,
  producerId = -1n,
): Buffer {
  const records = messages.map((one) => ({ topic: 't', value: Buffer.alloc(0), ...one })) as MessageRecord[]
  const batch = Buffer.from(createRecordsBatch(records, { producerId }).buffer)
  batch.writeBigInt64BE(BigInt(offset), 0)
  batch.writeInt16BE(attributes | batch.readInt16BE(21), 21)
  seal(batch)
  return batch
}

function seal(batch: Buffer): void {
  batch.writeUInt32BE(crc32c(batch.subarray(21)) >>> 0, 17)
}

const text = (...values: string[]): Partial<MessageRecord>[] =>
  values.map((value) => ({ value: Buffer.from(value) }))
const TRANSACTIONAL = 1 << 4
const CONTROL = 1 << 5
const marker = (offset: number, type: 0 | 1, producerId: bigint): Buffer =>
  batchAt(offset, [{ key: Buffer.from([0, 0, 0, type]) }], TRANSACTIONAL | CONTROL, producerId)

const ROOM = 64 * 1024 * 1024

function open(data: Buffer, from = 0, aborted?: AbortedTransaction[], memory = new AnswerMemory(ROOM)) {
  const source = { topic: 't', partition: 0, position: from, aborted, firstIsWhole: true }
  return new RecordBatches(data, source, memory)
}

function read(data: Buffer): IncomingRecord[] {
  return open(data).read().records
}

function seen({ records, next, obstacle }: Stretch) {
  return {
    values: records.map(({ value }) => String(value)),
    offsets: records.map(({ offset }) => offset),
    next,
    reason: obstacle?.range.reason,
  }
}

function decode(data: Buffer, from = 0, aborted?: AbortedTransaction[]) {
  return seen(open(data, from, aborted).read())
}

const stamps = (data: Buffer): number[] => read(data).map(({ timestamp }) => timestamp)

describe('record batches', () => {
  test('are decoded from the wanted offset on, also when that lies within a batch', () => {
    const data = Buffer.concat([batchAt(10, text('a', 'b', 'c')), batchAt(13, text('d'))])
    assert.deepEqual(decode(data, 11), {
      values: ['b', 'c', 'd'],
      offsets: [11, 12, 13],
      next: 14,
      reason: undefined,
    })
  })

  test('whose bytes do not match their CRC-32C are not handed over, those before them are (trap 14)', () => {
    const data = Buffer.concat([batchAt(0, text('good')), batchAt(1, text('bad')), batchAt(2, text('after'))])
    const at = data.indexOf('bad')
    data[at] = data[at]! ^ 1
    const got = decode(data)
    assert.deepEqual([got.values, got.next], [['good'], 1])
    assert.match(got.reason!, /CRC-32C/)
  })

  test('that are malformed though their CRC-32C is right are refused, never half of one handed over', () => {
    const data = batchAt(0, text('first', 'second'))
    const at = data.indexOf('second')
    data[at - 1] = 0x7f // a length far beyond the record
    seal(data)
    const got = decode(data)
    assert.deepEqual([got.values, got.next], [[], 0])
    assert.match(got.reason!, /beyond the end/)
  })

  test('give each record its own header names, whatever the record before has in their place', () => {
    const lists = [['aa', 'bb'], ['aa', 'bc'], ['ab'], [], ['abc', 'bb', 'cc'], ['abc', 'bb', 'cc']]
    const data = batchAt(
      0,
      lists.map((names) => ({ headers: new Map(names.map((name) => [Buffer.from(name), Buffer.of(1)])) })),
    )
    const records = read(data)
    assert.deepEqual(
      records.map(({ headers }) => headers.map(([name]) => String(name))),
      lists,
    )
  })

  test('that are cut off at the end are left for the next fetch', () => {
    const second = batchAt(1, text('second'))
    const data = Buffer.concat([batchAt(0, text('first')), second.subarray(0, second.length - 1)])
    assert.deepEqual(decode(data), { values: ['first'], offsets: [0], next: 1, reason: undefined })
  })

  test('of any bytes at all never throw, and never give a record that does not match its CRC-32C', () => {
    const good = batchAt(0, text('one', 'two', 'three'))
    for (let position = 0; position < good.length; position++) {
      const data = Buffer.from(good)
      data[position] = data[position]! ^ 0x55
      const { values } = decode(data)
      // The base offset, the length and the leader epoch are outside of the CRC: brokers set them.
      if (position >= 16 && values.length > 0) assert.fail(`byte ${position}: ${values.join()}`)
    }
  })

  test('of an aborted transaction are passed over up to its marker, those of others are not', () => {
    const data = Buffer.concat([
      batchAt(0, text('aborted'), TRANSACTIONAL, 7n),
      batchAt(1, text('other producer'), TRANSACTIONAL, 8n),
      batchAt(2, text('aborted too'), TRANSACTIONAL, 7n),
      marker(3, 0, 7n),
      batchAt(4, text('next transaction'), TRANSACTIONAL, 7n),
      marker(5, 1, 7n),
      marker(6, 1, 8n),
      batchAt(7, text('plain')),
    ])
    const got = decode(data, 0, [{ producerId: 7n, firstOffset: 0 }])
    assert.deepEqual(got.values, ['other producer', 'next transaction', 'plain'])
    assert.equal(got.next, 8)
  })

  test('keep null, empty and repeated apart: key, value, header values (trap 20)', () => {
    const headers = new Map([
      [Buffer.from('h'), Buffer.from('1')],
      [Buffer.from('h'), Buffer.from('2')],
      [Buffer.from('null'), null as never],
      [Buffer.from('empty'), Buffer.alloc(0)],
    ])
    const records = read(
      batchAt(0, [{ key: Buffer.alloc(0), value: null as never, headers }, { value: Buffer.alloc(0) }]),
    )
    assert.deepEqual(
      records.map(({ key, value }) => [key, value]),
      [
        [Buffer.alloc(0), null],
        [null, Buffer.alloc(0)],
      ],
    )
    assert.deepEqual(
      records[0]!.headers.map(([name, value]) => [String(name), value === null ? null : String(value)]),
      [
        ['h', '1'],
        ['h', '2'],
        ['null', null],
        ['empty', ''],
      ],
    )
  })

  test('give the timestamp of each record, or of the append where the topic says so', () => {
    const times = [1_700_000_000_000n, 1_700_000_000_005n, 1_699_999_999_990n]
    const messages = times.map((timestamp) => ({ timestamp, value: Buffer.from('v') }))
    assert.deepEqual(stamps(batchAt(0, messages)), times.map(Number))
    assert.deepEqual(
      stamps(batchAt(0, messages, 1 << 3)),
      [1, 1, 1].map(() => Number(times[1])),
    )
  })
})
