/**
 * Record batches as a fetch answers them, decoded into records.
 *
 * Layout: KIP-98 (magic 2), `org.apache.kafka.common.record.DefaultRecordBatch` and `DefaultRecord`. The client could
 * decode them too, but never checks the CRC-32C, gives up a whole answer for one bad batch, and makes a bigint and a
 * few objects per record that nobody needs.
 */
import { compressionsAlgorithmsByBitmask } from '@platformatic/kafka'
import type { RawHeader } from '../../wire/headers.ts'
import type { IncomingRecord } from '../transport.ts'
import { checksum } from './checksum.ts'
import { readLong } from './primitive-types.ts'

const BASE_OFFSET = 0
const BATCH_LENGTH = 8
const MAGIC = 16
const CRC = 17
const ATTRIBUTES = 21
const LAST_OFFSET_DELTA = 23
const BASE_TIMESTAMP = 27
const MAX_TIMESTAMP = 35
const PRODUCER_ID = 43
const RECORD_COUNT = 57
const RECORDS = 61

const COMPRESSION = 0b111
const LOG_APPEND_TIME = 1 << 3
const TRANSACTIONAL = 1 << 4
const CONTROL = 1 << 5
/** The type in a control record's key that ends an aborted transaction. */
const ABORT_MARKER = 0

/** An aborted transaction among the fetched records, as the broker lists them for read_committed readers. */
export interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: number
}

export interface DecodedRecords {
  /** In the order of the log. */
  readonly records: IncomingRecord[]
  /** The offset to fetch next: past markers and aborted records too. */
  readonly next: number
  /** Why decoding stopped before the end: the batch at `next` is damaged. */
  readonly damage: Error | undefined
}

/**
 * Decodes a partition's record batches from `from` on: a batch begins before it when it was fetched from within.
 * A batch that is cut off at the end, as brokers do at a size limit, is left for the next fetch.
 */
export function decodeRecords(
  data: Buffer,
  topic: string,
  partition: number,
  from: number,
  aborted: readonly AbortedTransaction[] | undefined,
): DecodedRecords {
  const records: IncomingRecord[] = []
  const open = new AbortedProducers(aborted)
  let next = from
  let at = 0
  while (at + RECORDS <= data.length) {
    const end = at + BATCH_LENGTH + 4 + data.readInt32BE(at + BATCH_LENGTH)
    if (end > data.length) break
    const base = readLong(data, at + BASE_OFFSET)
    const damage = damageOf(data, at, end, topic, partition, base)
    if (damage !== undefined) return { records, next, damage }
    const attributes = data.readInt16BE(at + ATTRIBUTES)
    const last = base + data.readInt32BE(at + LAST_OFFSET_DELTA)
    if (last >= next) {
      open.reach(last)
      if ((attributes & CONTROL) !== 0) open.mark(data, at, end)
      else if ((attributes & TRANSACTIONAL) === 0 || !open.aborts(data, at)) {
        const kept = records.length
        try {
          decodeBatch(data, at, end, attributes, base, next, topic, partition, records)
        } catch (error) {
          records.length = kept
          const reason = error instanceof Error ? error.message : String(error)
          return {
            records,
            next,
            damage: new Error(describe(topic, partition, base, reason), { cause: error }),
          }
        }
      }
      next = last + 1
    }
    at = end
  }
  return { records, next, damage: undefined }
}

function damageOf(
  data: Buffer,
  at: number,
  end: number,
  topic: string,
  partition: number,
  base: number,
): Error | undefined {
  const magic = data.readInt8(at + MAGIC)
  if (magic !== 2)
    return new Error(describe(topic, partition, base, `format ${magic} is not supported, only 2`))
  if (end - at < RECORDS) return new Error(describe(topic, partition, base, 'it is shorter than its head'))
  if (checksum(data.subarray(at + ATTRIBUTES, end)) !== data.readUInt32BE(at + CRC)) {
    return new Error(describe(topic, partition, base, 'its bytes do not match its CRC-32C'))
  }
  return undefined
}

function describe(topic: string, partition: number, offset: number, problem: string): string {
  return `the record batch of topic ${topic}, partition ${partition}, offset ${offset} is damaged: ${problem}`
}

function decodeBatch(
  data: Buffer,
  at: number,
  end: number,
  attributes: number,
  base: number,
  from: number,
  topic: string,
  partition: number,
  into: IncomingRecord[],
): void {
  const baseTimestamp = readLong(data, at + BASE_TIMESTAMP)
  const appended = (attributes & LOG_APPEND_TIME) !== 0
  const maxTimestamp = appended ? readLong(data, at + MAX_TIMESTAMP) : 0
  let bytes = data.subarray(at + RECORDS, end)
  const compression = attributes & COMPRESSION
  if (compression !== 0) {
    const codec = (
      compressionsAlgorithmsByBitmask as Record<number, { decompressSync(data: Buffer): Buffer }>
    )[compression]
    if (codec === undefined) throw new Error(`compression ${compression} is not supported`)
    bytes = codec.decompressSync(bytes)
  }
  const cursor = new RecordCursor(bytes)
  let before: readonly RawHeader[] = []
  for (let left = data.readInt32BE(at + RECORD_COUNT); left > 0; left--) {
    const recordEnd = cursor.varint() + cursor.at
    if (recordEnd > bytes.length) throw new Error('a record is longer than its batch')
    cursor.at++ // attributes, unused
    const timestampDelta = cursor.varlong()
    const offset = base + cursor.varint()
    if (offset < from) {
      cursor.at = recordEnd
      continue
    }
    const start = cursor.at
    const key = cursor.bytes()
    const value = cursor.bytes()
    let size = (key === null ? 0 : key.length) + (value === null ? 0 : value.length)
    const headers: RawHeader[] = []
    for (let count = cursor.varint(); count > 0; count--) {
      const name = cursor.bytesOr(before[headers.length]?.[0])
      if (name === null || cursor.at > recordEnd) throw new Error('a header is damaged')
      const content = cursor.bytes()
      size += name.length + (content === null ? 0 : content.length)
      headers.push([name, content])
    }
    if (cursor.at !== recordEnd || cursor.at < start) throw new Error('a record is not as long as it says')
    const timestamp = appended ? maxTimestamp : baseTimestamp + timestampDelta
    into.push({ topic, partition, offset, key, value, headers, timestamp, size })
    before = headers
  }
}

/** Reads a batch's records: zigzag varints (Protocol Buffers' sint) and bytes with their length before them. */
class RecordCursor {
  at = 0
  readonly #data: Buffer

  constructor(data: Buffer) {
    this.#data = data
  }

  varint(): number {
    const data = this.#data
    let raw = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = data[this.at++]
      if (byte === undefined) throw new Error('it ends within a number')
      raw |= (byte & 0x7f) << shift
      if (byte < 0x80) return (raw >>> 1) ^ -(raw & 1)
    }
    throw new Error('a number is too long')
  }

  varlong(): number {
    const data = this.#data
    let raw = 0
    let scale = 1
    for (let read = 0; read < 10; read++) {
      const byte = data[this.at++]
      if (byte === undefined) throw new Error('it ends within a number')
      raw += (byte & 0x7f) * scale
      if (byte < 0x80) return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2
      scale *= 128
    }
    throw new Error('a number is too long')
  }

  bytes(): Buffer | null {
    return this.bytesOr(undefined)
  }

  /**
   * As `bytes`, but `guess` itself where that is what stands here. For header names, which a batch's records mostly have
   * in common: comparing a few bytes costs a third of making a Buffer of them, and leaves nothing to collect.
   */
  bytesOr(guess: Buffer | undefined): Buffer | null {
    const length = this.varint()
    if (length === -1) return null
    const data = this.#data
    const start = this.at
    const end = start + length
    if (length < 0 || end > data.length) throw new Error('a length goes beyond the end')
    this.at = end
    if (guess?.length !== length) return data.subarray(start, end)
    for (let i = 0; i < length; i++) if (guess[i] !== data[start + i]) return data.subarray(start, end)
    return guess
  }
}

/**
 * Which producers' transactions, at this point of the log, are ones that were aborted: from the first offset that the
 * broker tells to the producer's abort marker.
 */
class AbortedProducers {
  readonly #coming: AbortedTransaction[]
  readonly #open = new Set<bigint>()

  constructor(aborted: readonly AbortedTransaction[] | undefined) {
    this.#coming = aborted === undefined ? [] : aborted.toSorted((a, b) => a.firstOffset - b.firstOffset)
  }

  reach(offset: number): void {
    while (this.#coming.length > 0 && this.#coming[0]!.firstOffset <= offset) {
      this.#open.add(this.#coming.shift()!.producerId)
    }
  }

  aborts(data: Buffer, batch: number): boolean {
    return this.#open.size > 0 && this.#open.has(data.readBigInt64BE(batch + PRODUCER_ID))
  }

  /** A control batch has one record, whose key is a version and a type. */
  mark(data: Buffer, batch: number, end: number): void {
    if (this.#open.size === 0) return
    const cursor = new RecordCursor(data.subarray(batch + RECORDS, end))
    cursor.varint()
    cursor.at++
    cursor.varlong()
    cursor.varint()
    const key = cursor.bytes()
    if (key !== null && key.length >= 4 && key.readInt16BE(2) === ABORT_MARKER) {
      this.#open.delete(data.readBigInt64BE(batch + PRODUCER_ID))
    }
  }
}
