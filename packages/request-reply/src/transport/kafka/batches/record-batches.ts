/**
 * The record batches that a fetch answers for one partition, one after the other.
 *
 * Layout: KIP-98 (magic 2), `org.apache.kafka.common.record.DefaultRecordBatch`. The client could decode them too, but
 * never checks the CRC-32C, gives up a whole answer for one bad batch, knows no bound, and makes a bigint and a few
 * objects per record that nobody needs.
 */
import zlib from 'node:zlib'
import { wordsOf } from '../../../words.ts'
import type { IncomingRecord, TopicPartition, UnreadableRange } from '../../transport.ts'
import { AbortedProducers, type AbortedTransaction } from './aborted-transactions.ts'
import { decodeRecords, type BatchHead } from './batch-records.ts'
import { checksum } from '../protocol/checksum.ts'
import { readLong } from '../protocol/primitive-types.ts'
import { TooLarge } from './unpacked.ts'

const BATCH_LENGTH = 8
/** Base offset and length, which the length itself does not count. */
const LENGTH_ENDS = 12
/** The leader's term (KIP-101), which the CRC-32C does not cover. */
const TERM = 12
const MAGIC = 16
const CRC = 17
const ATTRIBUTES = 21
const LAST_OFFSET_DELTA = 23
const BASE_TIMESTAMP = 27
const MAX_TIMESTAMP = 35
const PRODUCER_ID = 43
const RECORD_COUNT = 57
const RECORDS = 61
/** In the formats 0 and 1: a CRC-32 of what stands from the format on. */
const OLD_CRC = 12
/** Bytes of the shortest message of the formats 0 and 1. */
const OLD_MESSAGE = 26

const COMPRESSION = 0b111
const LOG_APPEND_TIME = 1 << 3
const TRANSACTIONAL = 1 << 4
const CONTROL = 1 << 5

/**
 * What the answer to one fetch may become in memory, all its partitions together. The first batch may take all of it; one
 * that goes beyond what is left after others waits for the next fetch.
 */
export class AnswerMemory {
  readonly limit: number
  #left: number

  constructor(limit: number) {
    this.limit = limit
    this.#left = limit
  }

  get left(): number {
    return this.#left
  }

  /** Whether nothing was taken yet. */
  get untouched(): boolean {
    return this.#left === this.limit
  }

  take(bytes: number): void {
    this.#left -= Math.max(1, bytes)
  }
}

/** Where a partition's batches are read from. */
export interface BatchesSource extends TopicPartition {
  /** The offset that was asked for. */
  readonly position: number
  readonly aborted: readonly AbortedTransaction[] | undefined
  /** Whether the broker owes the first batch in full, however large: so it is with the first partition that has any. */
  readonly firstIsWhole: boolean
}

/** Something that cannot be handed over. */
export interface Obstacle {
  readonly range: UnreadableRange
  /** It is what stands in the log, its CRC-32C says: to fetch it again cannot help. */
  readonly certain: boolean
  /** Where the next batch stands in the answer; `undefined` when that cannot be known. */
  readonly behind: number | undefined
}

export interface Stretch {
  /** In the order of the log. */
  readonly records: IncomingRecord[]
  /** The offset to go on with: past markers and aborted records too. */
  readonly next: number
  /** What stands there and cannot be read; `undefined` at the end of what is to be read from this answer. */
  readonly obstacle: Obstacle | undefined
}

/** Read `read()` by `read()`, with `pass()` in between. None throws, whatever the bytes. */
export class RecordBatches {
  readonly #data: Buffer
  readonly #source: BatchesSource
  readonly #memory: AnswerMemory
  readonly #aborted: AbortedProducers | undefined
  #at = 0
  #next: number
  #full = false
  #term: { readonly epoch: number; readonly from: number } | undefined

  constructor(data: Buffer, source: BatchesSource, memory: AnswerMemory) {
    this.#data = data
    this.#source = source
    this.#memory = memory
    this.#next = source.position
    this.#aborted = source.aborted === undefined ? undefined : new AbortedProducers(source.aborted)
  }

  /** Batches were left for the next fetch, since the answer's memory is used up. */
  get full(): boolean {
    return this.#full
  }

  /** The leader's term in which the last batch that was read was written, and the first offset of it here. */
  get term(): { readonly epoch: number; readonly from: number } | undefined {
    return this.#term
  }

  /**
   * The records up to the next obstacle. A batch that is cut off at the end, as brokers do at a size limit, is left for
   * the next fetch; so is what goes beyond the answer's memory.
   */
  read(): Stretch {
    const data = this.#data
    const records: IncomingRecord[] = []
    let obstacle: Obstacle | undefined
    while (obstacle === undefined && !this.#full && this.#at + MAGIC < data.length) {
      const end = this.#at + LENGTH_ENDS + data.readInt32BE(this.#at + BATCH_LENGTH)
      const magic = data.readInt8(this.#at + MAGIC)
      if (end - this.#at < (magic === 0 || magic === 1 ? OLD_MESSAGE : RECORDS)) {
        obstacle = this.#doubtful(undefined, 'its length is less than its head')
      } else if (end > data.length) break
      else obstacle = this.#batch(end, magic, records)
    }
    obstacle ??= this.#stuck()
    return { records, next: this.#next, obstacle }
  }

  /** Goes on behind an obstacle. False: the answer has nothing more that can be found, or that can be believed. */
  pass({ range, behind }: Obstacle): boolean {
    this.#next = range.next
    // It may have been the marker that ends an aborted transaction; the next answer says what is aborted behind it.
    if (behind === undefined || this.#aborted?.pending === true) return false
    this.#at = behind
    return true
  }

  #batch(end: number, magic: number, into: IncomingRecord[]): Obstacle | undefined {
    const data = this.#data
    const at = this.#at
    const base = readLong(data, at)
    if (magic === 0 || magic === 1) {
      // Else it may well be a batch of today, whose format the CRC-32C does not cover.
      if (zlib.crc32(data.subarray(at + MAGIC, end)) !== data.readUInt32BE(at + OLD_CRC)) {
        return this.#doubtful(end, `record format ${magic}, and its bytes do not match its CRC-32`)
      }
      if (base < this.#next) return this.#skip(end)
      // A message, or a compressed set of them under the offset of its last: all from where we are to there.
      const reason = `record format ${magic}, from before Kafka 0.11, is not read`
      return this.#certain(this.#next, base + 1, end, reason)
    }
    if (magic !== 2) return this.#doubtful(end, `record format ${magic} is not known`)
    if (checksum(data.subarray(at + ATTRIBUTES, end)) !== data.readUInt32BE(at + CRC)) {
      return this.#doubtful(end, 'its bytes do not match its CRC-32C')
    }
    const last = base + data.readInt32BE(at + LAST_OFFSET_DELTA)
    if (Math.max(base, last) < this.#next) return this.#skip(end)
    if (last < base) return this.#certain(base, base + 1, end, 'it ends before it begins')
    try {
      if (!this.#contents(end, base, last, into)) return undefined
    } catch (error) {
      return this.#certain(base, last + 1, end, this.#reason(error))
    }
    this.#next = last + 1
    const epoch = data.readInt32BE(at + TERM)
    if (epoch !== this.#term?.epoch) this.#term = { epoch, from: base }
    return this.#skip(end)
  }

  #skip(end: number): undefined {
    this.#at = end
  }

  /** False: left for the next fetch. */
  #contents(end: number, base: number, last: number, into: IncomingRecord[]): boolean {
    const data = this.#data
    const at = this.#at
    const attributes = data.readInt16BE(at + ATTRIBUTES)
    const records = data.subarray(at + RECORDS, end)
    const aborted = this.#aborted
    if (aborted !== undefined) {
      const producerId = data.readBigInt64BE(at + PRODUCER_ID)
      aborted.reach(last)
      if ((attributes & CONTROL) !== 0) aborted.mark(producerId, records)
      else if ((attributes & TRANSACTIONAL) !== 0 && aborted.has(producerId)) return true
    }
    if ((attributes & CONTROL) !== 0) return true
    const head: BatchHead = {
      base,
      last,
      compression: attributes & COMPRESSION,
      baseTimestamp: readLong(data, at + BASE_TIMESTAMP),
      appendedAt: (attributes & LOG_APPEND_TIME) === 0 ? undefined : readLong(data, at + MAX_TIMESTAMP),
      count: data.readInt32BE(at + RECORD_COUNT),
    }
    const before = into.length
    const first = this.#memory.untouched
    try {
      this.#memory.take(decodeRecords(records, head, this.#source, this.#next, this.#memory.left, into))
      return true
    } catch (error) {
      into.length = before
      if (!(error instanceof TooLarge)) throw error
      if (first) {
        this.#memory.take(this.#memory.limit) // to find that out has cost as much; one such batch for each fetch
        throw error
      }
      this.#full = true
      return false
    }
  }

  #reason(error: unknown): string {
    if (!(error instanceof TooLarge)) return wordsOf(error)
    const count = this.#data.readInt32BE(this.#at + RECORD_COUNT)
    return (
      `it would take more than ${this.#memory.limit} bytes in memory (the option maxBatchMemory); ` +
      `it says that it has ${count} records`
    )
  }

  #certain(base: number, next: number, end: number, reason: string): Obstacle {
    return this.#obstacle(Math.max(base, this.#next), Math.max(next, this.#next + 1), end, reason, true)
  }

  /**
   * What its head says is not certain either: of the offsets that it may have, what fits best. Never less than up to a
   * batch behind it that is whole, since what lies between would be neither handed over nor told.
   */
  #doubtful(end: number | undefined, reason: string): Obstacle {
    const data = this.#data
    const from = this.#next
    let next = from + 1
    if (this.#at + RECORDS <= data.length) {
      const base = readLong(data, this.#at)
      const last = base + data.readInt32BE(this.#at + LAST_OFFSET_DELTA)
      const count = data.readInt32BE(this.#at + RECORD_COUNT)
      // Where both numbers of the head agree, and it has the offset that was asked for.
      if (base <= from && last >= from && count === last - base + 1) next = last + 1
    }
    if (end !== undefined) next = Math.max(next, this.#wholeAt(end) ?? next)
    return this.#obstacle(from, next, end, reason, false)
  }

  /** The first offset of the batch that begins there, if it is all there and its CRC-32C is right. */
  #wholeAt(at: number): number | undefined {
    const data = this.#data
    if (at + RECORDS > data.length || data.readInt8(at + MAGIC) !== 2) return undefined
    const end = at + LENGTH_ENDS + data.readInt32BE(at + BATCH_LENGTH)
    if (end < at + RECORDS || end > data.length) return undefined
    return checksum(data.subarray(at + ATTRIBUTES, end)) === data.readUInt32BE(at + CRC)
      ? readLong(data, at)
      : undefined
  }

  #obstacle(
    offset: number,
    next: number,
    end: number | undefined,
    reason: string,
    certain: boolean,
  ): Obstacle {
    const { topic, partition } = this.#source
    const bytes = (end ?? this.#data.length) - this.#at
    return { range: { topic, partition, offset, next, bytes, reason }, certain, behind: end }
  }

  /** The answer brings nothing and would not the next time. */
  #stuck(): Obstacle | undefined {
    const { position, firstIsWhole } = this.#source
    if (this.#next !== position || this.#full) return undefined
    if (this.#at === this.#data.length) {
      return this.#doubtful(undefined, `all that the broker answers stands before offset ${position}`)
    }
    if (this.#at > 0 || !firstIsWhole) return undefined
    return this.#doubtful(undefined, 'it is cut off, or its length is wrong')
  }
}
