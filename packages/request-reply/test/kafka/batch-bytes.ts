/** Batches for the tests of the reader: whole, damaged, old, transactional. */
import { crc32 } from 'node:zlib'
import {
  type CompressionAlgorithmValue,
  crc32c,
  createRecordsBatch,
  type MessageRecord,
} from '@platformatic/kafka'
import type { AbortedTransaction } from '../../src/transport/kafka/batches/aborted-transactions.ts'
import {
  AnswerMemory,
  RecordBatches,
  type Stretch,
} from '../../src/transport/kafka/batches/record-batches.ts'
import type { IncomingRecord } from '../../src/transport/transport.ts'

/** A batch at this offset of the log, as a broker stores it. */
export function batchAt(
  offset: number,
  messages: readonly Partial<MessageRecord>[],
  attributes = 0,
  producerId = -1n,
  compression: CompressionAlgorithmValue = 'none',
): Buffer {
  const records = messages.map((one) => ({ topic: 't', value: Buffer.alloc(0), ...one })) as MessageRecord[]
  const batch = Buffer.from(createRecordsBatch(records, { producerId, compression }).buffer)
  batch.writeBigInt64BE(BigInt(offset), 0)
  batch.writeInt16BE(attributes | batch.readInt16BE(21), 21)
  seal(batch)
  return batch
}

export function seal(batch: Buffer): void {
  batch.writeUInt32BE(crc32c(batch.subarray(21)) >>> 0, 17)
}

export const text = (...values: string[]): Partial<MessageRecord>[] =>
  values.map((value) => ({ value: Buffer.from(value) }))

/** One bit of its records is wrong. */
export function damaged(batch: Buffer): Buffer {
  batch[batch.length - 2] = batch.at(-2)! ^ 1
  return batch
}

/** A message of the format 1. */
export function old(offset: number): Buffer {
  const message = Buffer.alloc(40)
  message.writeBigInt64BE(BigInt(offset), 0)
  message.writeInt32BE(28, 8)
  message[16] = 1
  message.writeUInt32BE(crc32(message.subarray(16)), 12)
  return message
}

/** A batch whose head or records were changed, and its CRC-32C with them. */
export const sealed =
  (change: (batch: Buffer) => Buffer | void) =>
  (batch: Buffer): Buffer => {
    const changed = change(batch) ?? batch
    changed.writeInt32BE(changed.length - 12, 8)
    seal(changed)
    return changed
  }

export const garbage: readonly [string, (batch: Buffer) => Buffer, RegExp][] = [
  ['a length beyond the end', sealed((batch) => void (batch[batch.indexOf('second') - 1] = 0x7e)), /beyond/],
  ['a record with a negative length', sealed((batch) => void (batch[61] = 0x01)), /longer than its batch/],
  ['less records than it says', sealed((batch) => void batch.writeInt32BE(2 ** 31 - 1, 57)), /ends within/],
  ['more records than it says', sealed((batch) => void batch.writeInt32BE(2, 57)), /more records/],
  ['no records by its count', sealed((batch) => void batch.writeInt32BE(0, 57)), /more records/],
  ['a negative count', sealed((batch) => void batch.writeInt32BE(-1, 57)), /less than no/],
  ['offsets twice', sealed((batch) => void (batch[batch.indexOf('second') - 3] = 0)), /not in order/],
  ['gzip that is none', sealed((batch) => void (batch[22] = 1)), /header/],
  ['snappy that is none', sealed((batch) => void (batch[22] = 2)), /compressed|Snappy/],
  ['lz4 that is none', sealed((batch) => void (batch[22] = 3)), /LZ4/],
  ['zstd that is none', sealed((batch) => void (batch[22] = 4)), /./],
  ['a compression that nobody knows', sealed((batch) => void (batch[22] = 7)), /compression 7/],
]

export const TRANSACTIONAL = 1 << 4

export const CONTROL = 1 << 5

export const marker = (offset: number, type: 0 | 1, producerId: bigint): Buffer =>
  batchAt(offset, [{ key: Buffer.from([0, 0, 0, type]) }], TRANSACTIONAL | CONTROL, producerId)

export const ROOM = 64 * 1024 * 1024

export function open(
  data: Buffer,
  from = 0,
  aborted?: AbortedTransaction[],
  memory = new AnswerMemory(ROOM),
) {
  const source = { topic: 't', partition: 0, position: from, aborted, firstIsWhole: true }
  return new RecordBatches(data, source, memory)
}

export function read(data: Buffer): IncomingRecord[] {
  return open(data).read().records
}

export function seen({ records, next, obstacle }: Stretch) {
  return {
    values: records.map(({ value }) => String(value)),
    offsets: records.map(({ offset }) => offset),
    next,
    reason: obstacle?.range.reason,
  }
}

export function decode(data: Buffer, from = 0, aborted?: AbortedTransaction[]) {
  return seen(open(data, from, aborted).read())
}

export const stamps = (data: Buffer): number[] => read(data).map(({ timestamp }) => timestamp)
