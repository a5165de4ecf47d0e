/**
 * Record batches of version 2 (Kafka protocol, "Record Batch"; KIP-98), written into one buffer:
 *
 *     baseOffset 0 | batchLength 8 | partitionLeaderEpoch 12 | magic 16 | crc 17 | attributes 21 | lastOffsetDelta 23
 *     baseTimestamp 27 | maxTimestamp 35 | producerId 43 | producerEpoch 51 | baseSequence 53 | recordCount 57
 *     records 61
 *
 * A header list goes in as it is (names that occur twice stay two), producer, epoch and sequence are set per partition,
 * and the bytes of a retry are those of the first attempt.
 */
import type { OutgoingRecord } from '../../transport.ts'
import { packings } from '../batches/compression.ts'
import { BatchMemory } from './batch-memory.ts'
import { checksum } from '../protocol/checksum.ts'
import type { Compression } from '../options.ts'
import { writeLong, writeUnsigned } from '../protocol/primitive-types.ts'

const RECORDS_AT = 61
/** Bytes before what `batchLength` counts. */
const LENGTH_ENDS_AT = 12
/** Where the part begins that the CRC covers. */
const ATTRIBUTES_AT = 21
/** Most bytes of what stands before a record's key: length, attributes, time and offset deltas. */
const MAX_PREFIX = 5 + 1 + 5 + 5

/** A record with what the batch needs to know of it. */
export interface BatchRecord {
  readonly record: OutgoingRecord
  /** `bodySize(record)`: computed once. */
  readonly bodySize: number
  /** Milliseconds since the Unix epoch. */
  readonly timestamp: number
}

/** Who sends, and which number the first record has (KIP-98). */
export interface BatchIdentity {
  readonly producerId: bigint
  readonly epoch: number
  readonly sequence: number
}

/** Bytes of a record's key, value and headers in a batch. Throws, or is no number, if they are not what they must be. */
export function bodySize(record: OutgoingRecord): number {
  let size = bytesSize(record.key) + bytesSize(record.value) + varintSize(record.headers.length)
  for (const [name, value] of record.headers) size += lengthSize(name) + bytesSize(value)
  return size
}

/** Bytes that a record may take in a batch, at most. */
export function maxRecordSize(record: BatchRecord): number {
  return MAX_PREFIX + record.bodySize
}

/** Bytes of a batch's head. */
export const batchHeadSize: number = RECORDS_AT

/** Writes a batch of at least one record. What it gives may go back into `memory` when nobody needs it any more. */
export function encodeBatch(
  records: readonly BatchRecord[],
  identity: BatchIdentity,
  compression: Compression,
  memory: BatchMemory = new BatchMemory(),
): Buffer {
  let most = RECORDS_AT
  for (const record of records) most += maxRecordSize(record)
  let buffer = memory.take(most)
  const first = records[0]!.timestamp
  let latest = first
  let at = RECORDS_AT
  for (let i = 0; i < records.length; i++) {
    const record = records[i]!
    if (record.timestamp > latest) latest = record.timestamp
    at = writeRecord(buffer, at, record, i, record.timestamp - first)
  }
  let attributes = 0
  if (compression !== 'none') {
    const packing = packings[compression]
    attributes = packing.attribute
    const packed = packing.pack(buffer.subarray(RECORDS_AT, at))
    if (RECORDS_AT + packed.length > buffer.length) {
      buffer = memory.take(RECORDS_AT + packed.length)
    }
    packed.copy(buffer, RECORDS_AT)
    at = RECORDS_AT + packed.length
  }
  const batch = buffer.subarray(0, at)
  batch.fill(0, 0, 8)
  batch.writeInt32BE(at - LENGTH_ENDS_AT, 8)
  batch.writeInt32BE(-1, 12)
  batch[16] = 2
  batch.writeInt16BE(attributes, ATTRIBUTES_AT)
  batch.writeInt32BE(records.length - 1, 23)
  writeLong(batch, 27, first)
  writeLong(batch, 35, latest)
  batch.writeBigInt64BE(identity.producerId, 43)
  batch.writeInt16BE(identity.epoch, 51)
  batch.writeInt32BE(identity.sequence, 53)
  batch.writeInt32BE(records.length, 57)
  batch.writeUInt32BE(checksum(batch.subarray(ATTRIBUTES_AT)), 17)
  return batch
}

function writeRecord(
  buffer: Buffer,
  start: number,
  { record, bodySize }: BatchRecord,
  delta: number,
  time: number,
): number {
  const prefix = 1 + varintSize(time) + varintSize(delta)
  let at = writeVarint(buffer, start, prefix + bodySize)
  const end = at + prefix + bodySize
  buffer[at++] = 0
  at = writeVarint(buffer, at, time)
  at = writeVarint(buffer, at, delta)
  at = writeBytes(buffer, at, record.key)
  at = writeBytes(buffer, at, record.value)
  at = writeVarint(buffer, at, record.headers.length)
  for (const [name, value] of record.headers) {
    at = writeBytes(buffer, at, name)
    at = writeBytes(buffer, at, value)
  }
  if (at !== end) throw new RangeError('a record is not what it was when it was given')
  return at
}

function bytesSize(bytes: Buffer | null): number {
  return bytes === null ? 1 : lengthSize(bytes)
}

function lengthSize(bytes: Buffer): number {
  const { length } = bytes
  // Text has no `byteLength`, and an array of larger numbers another one.
  return length === bytes.byteLength ? varintSize(length) + length : Number.NaN
}

function writeBytes(buffer: Buffer, at: number, bytes: Buffer | null): number {
  if (bytes === null) return writeVarint(buffer, at, -1)
  const start = writeVarint(buffer, at, bytes.length)
  buffer.set(bytes, start)
  return start + bytes.length
}

/** Zigzag varint, as Protocol Buffers have it; 32 bits are enough for lengths and for the deltas of one batch. */
function varintSize(value: number): number {
  const unsigned = zigzag(value)
  return unsigned < 0x80
    ? 1
    : unsigned < 0x4000
      ? 2
      : unsigned < 0x20_0000
        ? 3
        : unsigned < 0x1000_0000
          ? 4
          : 5
}

function writeVarint(buffer: Buffer, start: number, value: number): number {
  return writeUnsigned(buffer, start, zigzag(value))
}

function zigzag(value: number): number {
  return ((value << 1) ^ (value >> 31)) >>> 0
}
