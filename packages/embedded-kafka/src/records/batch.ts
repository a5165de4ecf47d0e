/**
 * The header of a record batch, version 2 (Kafka protocol, "Record Batch"):
 *
 *     baseOffset 0..8 | batchLength 8..12 | partitionLeaderEpoch 12..16 | magic 16 | crc 17..21 | attributes 21..23
 *     lastOffsetDelta 23..27 | baseTimestamp 27..35 | maxTimestamp 35..43 | producerId 43..51 | producerEpoch 51..53
 *     baseSequence 53..57 | recordCount 57..61 | records 61..
 *
 * The CRC covers everything from the attributes on, so the broker may set what is before it without a new one.
 */
export const batchLayout = {
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  recordCount: 57,
  records: 61,
} as const

/** Bytes before the part that `batchLength` counts. */
export const batchOverhead = 12

/** By number, as the low three bits of a batch's attributes tell it. */
export const compressionCodecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type CompressionCodec = (typeof compressionCodecs)[number]

export interface BatchHeader {
  /** Bytes of the whole batch, header included. */
  readonly size: number
  /** Undefined if the codec's number is none that the protocol knows. */
  readonly compression: CompressionCodec | undefined
  readonly logAppendTime: boolean
  readonly transactional: boolean
  readonly control: boolean
  readonly lastOffsetDelta: number
  readonly baseTimestamp: number
  readonly maxTimestamp: number
  /** -1 if the producer is not idempotent. */
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
}

/** Reads a batch's header; the caller made sure that at least `batchLayout.records` bytes are there. */
export function readBatchHeader(batch: Buffer): BatchHeader {
  const attributes = batch.readInt16BE(batchLayout.attributes)
  return {
    size: batch.readInt32BE(batchLayout.length) + batchOverhead,
    compression: compressionCodecs[attributes & 0x07],
    logAppendTime: (attributes & 0x08) !== 0,
    transactional: (attributes & 0x10) !== 0,
    control: (attributes & 0x20) !== 0,
    lastOffsetDelta: batch.readInt32BE(batchLayout.lastOffsetDelta),
    baseTimestamp: Number(batch.readBigInt64BE(batchLayout.baseTimestamp)),
    maxTimestamp: Number(batch.readBigInt64BE(batchLayout.maxTimestamp)),
    producerId: Number(batch.readBigInt64BE(batchLayout.producerId)),
    producerEpoch: batch.readInt16BE(batchLayout.producerEpoch),
    baseSequence: batch.readInt32BE(batchLayout.baseSequence),
    recordCount: batch.readInt32BE(batchLayout.recordCount),
  }
}
