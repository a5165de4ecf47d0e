import { batchLayout } from '../records/batch.ts'
import { crc32c } from '../records/crc32c.ts'
import { firstRecordSince } from '../records/record-times.ts'
import type { RecordPosition, UnpackMeter } from '../records/record-times.ts'
import type { ValidBatch } from '../records/validation.ts'
import { errorCodes } from '../wire/error-codes.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import type { TopicMemory } from './memory.ts'
import { Producers } from './producers.ts'
import { Segment } from './segment.ts'
import type { TopicConfigs } from './topic-configs.ts'

const smallestSegment = 8 * 1024
const largestSegment = 1024 * 1024
/** What a segment's index takes for one batch: three numbers, and the room that growing lists keep. */
const bytesPerBatch = 36
/** LogAppendTime, as a bit of a batch's attributes. */
const logAppendTimeBit = 0x08

export interface AppendResult {
  readonly baseOffset: number
  /** Ms since the epoch, or -1 if the topic keeps the producer's times. */
  readonly appendTime: number
}

/** Something that waits for records, such as a parked fetch. Called on each append, and with Infinity on deletion. */
export type AppendListener = (bytes: number) => void

/**
 * One partition: an append-only log in memory, with one replica that leads it.
 *
 *     logStartOffset            lastStableOffset = highWatermark = next offset
 *           |  segment  |  segment  |  segment (growing)  |
 *
 * With one replica whatever was appended is committed at once, and without transactions it is stable too.
 */
export class Partition {
  readonly topic: string
  readonly index: number
  readonly leaderEpoch: number = 0
  readonly #configs: TopicConfigs
  readonly #memory: TopicMemory
  readonly #segments: Segment[] = []
  readonly #listeners = new Set<AppendListener>()
  #producers: Producers | undefined
  #logStartOffset = 0
  #nextOffset = 0
  #deleted = false

  constructor(topic: string, index: number, configs: TopicConfigs, memory: TopicMemory) {
    this.topic = topic
    this.index = index
    this.#configs = configs
    this.#memory = memory
  }

  get logStartOffset(): number {
    return this.#logStartOffset
  }

  get highWatermark(): number {
    return this.#nextOffset
  }

  /** End of what a read_committed consumer may see: before the first open transaction. */
  get lastStableOffset(): number {
    return this.#nextOffset
  }

  /** True once the topic is deleted: the partition is not to be used any more. */
  get deleted(): boolean {
    return this.#deleted
  }

  /** Bytes of all batches. */
  get size(): number {
    let size = 0
    for (const segment of this.#segments) size += segment.size
    return size
  }

  get segmentCount(): number {
    return this.#segments.length
  }

  /** When the oldest segment got its last batch, ms since the epoch; Infinity if the log is empty. */
  get oldestAppend(): number {
    return this.#segments[0]?.appendedAt ?? Infinity
  }

  /**
   * Appends a batch that was validated, and wakes who waits for it. A batch that an idempotent producer sent before
   * is not appended again, but answered like the first time.
   *
   * @throws ProtocolError MESSAGE_TOO_LARGE, INVALID_TIMESTAMP, INVALID_RECORD (a compacted topic wants keys),
   *   KAFKA_STORAGE_ERROR (the memory is full), or what Producers.check throws
   */
  append(batch: Buffer, valid: ValidBatch, now: number): AppendResult {
    const { header } = valid
    const { maxMessageBytes, logAppendTime } = this.#configs
    if (header.size > maxMessageBytes) {
      throw new ProtocolError(
        errorCodes.MESSAGE_TOO_LARGE,
        `the batch has ${header.size} bytes, ${this.topic} allows max.message.bytes = ${maxMessageBytes}`,
      )
    }
    const greatestTimestamp = header.baseTimestamp + valid.greatestTimestampDelta
    if (!logAppendTime)
      this.#checkTimes(header.baseTimestamp + valid.leastTimestampDelta, greatestTimestamp, now)
    if (this.#configs.compacts && !valid.allHaveKeys) {
      throw new ProtocolError(errorCodes.INVALID_RECORD, `${this.topic} is compacted: its records have keys`)
    }
    if (header.producerId >= 0) {
      const repeated = this.#producers?.check(header)
      if (repeated !== undefined) return repeated
    }

    const segment = this.#segmentFor(batch.length, now)
    const baseOffset = this.#nextOffset
    const maxTimestamp = logAppendTime ? now : greatestTimestamp
    const stored = segment.append(batch, header.recordCount, maxTimestamp, now)
    this.#memory.count(bytesPerBatch)
    stored.writeBigInt64BE(BigInt(baseOffset), 0)
    stored.writeInt32BE(this.leaderEpoch, batchLayout.leaderEpoch)
    if (logAppendTime) stampAppendTime(stored, now)
    else if (maxTimestamp !== header.maxTimestamp) stampMaxTimestamp(stored, maxTimestamp)
    this.#nextOffset = segment.nextOffset

    const appendTime = logAppendTime ? now : -1
    if (header.producerId >= 0) {
      this.#producers ??= new Producers(this.#memory)
      this.#producers.appended(header, baseOffset, appendTime, now)
    }
    for (const listener of this.#listeners) listener(batch.length)
    return { baseOffset, appendTime }
  }

  /**
   * Whole batches from the one that holds `offset` on, up to `endOffset` and `maxBytes`; with `atLeastOne` the first
   * one comes whatever its size. The slices are the log's own memory. `offset` is within the log.
   */
  read(offset: number, endOffset: number, maxBytes: number, atLeastOne: boolean): Buffer[] {
    const slices: Buffer[] = []
    let total = 0
    for (let at = this.#segmentIndex(offset); at < this.#segments.length; at += 1) {
      const segment = this.#segments[at]!
      if (segment.baseOffset >= endOffset) break
      const first = slices.length === 0 ? segment.batchAt(offset) : 0
      const slice = segment.slice(first, endOffset, maxBytes - total, atLeastOne && slices.length === 0)
      if (slice.length === 0) break
      slices.push(slice)
      total += slice.length
      // What is left of this segment comes before the next one, though a batch of that may fit.
      if (total >= maxBytes || !segment.endsWith(slice)) break
    }
    return slices
  }

  /** The first record with this timestamp (ms since the epoch) or a later one. */
  firstSince(timestamp: number, meter: UnpackMeter): RecordPosition | undefined {
    for (const segment of this.#segments) {
      for (let index = 0; index < segment.batchCount; index += 1) {
        if (segment.maxTimestamp(index) < timestamp) continue
        const found = firstRecordSince(segment.batch(index), timestamp, meter)
        if (found === undefined) continue
        if (found.offset >= this.#logStartOffset) return found
        return { offset: this.#logStartOffset, timestamp: found.timestamp }
      }
    }
    return undefined
  }

  /** Lets go of everything before `offset`, which is within the log (DeleteRecords). */
  deleteBefore(offset: number): void {
    this.#logStartOffset = Math.max(this.#logStartOffset, offset)
    while (this.#segments.length > 0 && this.#segments[0]!.nextOffset <= this.#logStartOffset)
      this.#dropOldest()
  }

  /** Drops segments that the topic's retention.ms and retention.bytes allow to go. Times count from the append. */
  retain(now: number): void {
    this.#producers?.expire(now - this.#configs.producerExpirationMs)
    if (!this.#configs.deletes) return
    const { retentionMs, retentionBytes } = this.#configs
    if (retentionMs >= 0) {
      while (this.#segments.length > 0 && this.#segments[0]!.appendedAt < now - retentionMs)
        this.#dropOldest()
    }
    if (retentionBytes >= 0) {
      let size = this.size
      while (this.#segments.length > 1 && size - this.#segments[0]!.size >= retentionBytes) {
        size -= this.#segments[0]!.size
        this.#dropOldest()
      }
    }
  }

  /** Drops the oldest segment whatever the topic's retention says: the broker's memory is full. */
  dropOldestSegment(): void {
    this.#dropOldest()
  }

  /** How many wait for records. */
  get listenerCount(): number {
    return this.#listeners.size
  }

  /** How many idempotent producers are remembered. */
  get producerCount(): number {
    return this.#producers?.size ?? 0
  }

  listen(listener: AppendListener): void {
    this.#listeners.add(listener)
  }

  unlisten(listener: AppendListener): void {
    this.#listeners.delete(listener)
  }

  /** The topic is deleted: frees the memory and wakes who waits. */
  delete(): void {
    this.#deleted = true
    while (this.#segments.length > 0) this.#dropOldest()
    this.#producers?.clear()
    for (const listener of this.#listeners) listener(Infinity)
  }

  #checkTimes(least: number, greatest: number, now: number): void {
    const { timestampBeforeMaxMs, timestampAfterMaxMs } = this.#configs
    if (greatest > now + timestampAfterMaxMs) {
      throw new ProtocolError(
        errorCodes.INVALID_TIMESTAMP,
        `timestamp ${greatest} is more than message.timestamp.after.max.ms = ${timestampAfterMaxMs} ahead`,
      )
    }
    // -1 is no timestamp.
    if (least < now - timestampBeforeMaxMs && least !== -1) {
      throw new ProtocolError(
        errorCodes.INVALID_TIMESTAMP,
        `timestamp ${least} is more than message.timestamp.before.max.ms = ${timestampBeforeMaxMs} ago`,
      )
    }
  }

  /** The growing segment if the batch fits, else a new one, twice as large as the last up to a bound. */
  #segmentFor(size: number, now: number): Segment {
    const last = this.#segments.at(-1)
    if (last?.hasRoomFor(size)) return last
    const usual = last === undefined ? smallestSegment : Math.min(last.capacity * 2, largestSegment)
    const capacity = this.#memory.take(Math.max(usual, size), size, this)
    const segment = new Segment(this.#nextOffset, capacity, now)
    this.#segments.push(segment)
    return segment
  }

  #segmentIndex(offset: number): number {
    let low = 0
    let high = this.#segments.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (this.#segments[middle]!.baseOffset <= offset) low = middle
      else high = middle - 1
    }
    return low
  }

  #dropOldest(): void {
    const dropped = this.#segments.shift()
    if (dropped === undefined) return
    this.#logStartOffset = Math.max(this.#logStartOffset, dropped.nextOffset)
    this.#memory.count(-dropped.capacity - bytesPerBatch * dropped.batchCount)
  }
}

/** The broker's time instead of the producer's: the attributes and the largest timestamp change, and so the CRC. */
function stampAppendTime(batch: Buffer, now: number): void {
  batch.writeInt16BE(batch.readInt16BE(batchLayout.attributes) | logAppendTimeBit, batchLayout.attributes)
  stampMaxTimestamp(batch, now)
}

/** The header tells the time of the records, whatever the producer wrote there: clients and ListOffsets rely on it. */
function stampMaxTimestamp(batch: Buffer, maxTimestamp: number): void {
  batch.writeBigInt64BE(BigInt(maxTimestamp), batchLayout.maxTimestamp)
  batch.writeUInt32BE(crc32c(batch, batchLayout.attributes), batchLayout.crc)
}
