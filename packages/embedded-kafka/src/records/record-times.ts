import { Reader } from '../wire/reader.ts'
import { batchLayout, readBatchHeader } from './batch.ts'
import { decompress } from './decompression.ts'

/** No batch unpacks to more than this while it is searched. */
const unpackedLimit = 64 * 1024 * 1024

export interface RecordPosition {
  readonly offset: number
  readonly timestamp: number
}

/** Counts the bytes that were unpacked on the way. */
export interface UnpackMeter {
  unpackedBytes: number
}

/**
 * The first record of a stored batch whose timestamp (ms since the epoch) is `from` or later. A batch that cannot be
 * unpacked answers with its first record, which is where a reader has to start anyway.
 */
export function firstRecordSince(
  batch: Buffer,
  from: number,
  meter: UnpackMeter,
): RecordPosition | undefined {
  const header = readBatchHeader(batch)
  if (header.maxTimestamp < from) return undefined
  const baseOffset = Number(batch.readBigInt64BE(0))
  if (header.logAppendTime) return { offset: baseOffset, timestamp: header.maxTimestamp }
  let reader: Reader
  try {
    const packed = batch.subarray(batchLayout.records, header.size)
    const records = decompress(header.compression ?? 'none', packed, unpackedLimit)
    if (records !== packed) meter.unpackedBytes += records.length
    reader = new Reader(records, true)
    for (let index = 0; index < header.recordCount; index += 1) {
      const end = reader.varint() + reader.position
      reader.int8()
      const timestamp = header.baseTimestamp + reader.varlong()
      const offsetDelta = reader.varint()
      if (timestamp >= from) return { offset: baseOffset + offsetDelta, timestamp }
      reader.position = end
    }
  } catch {
    return { offset: baseOffset, timestamp: header.maxTimestamp }
  }
  return undefined
}
