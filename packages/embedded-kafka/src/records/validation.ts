import { errorCodes } from '../wire/error-codes.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import { batchLayout, readBatchHeader } from './batch.ts'
import type { BatchHeader, CompressionCodec } from './batch.ts'
import { crc32c } from './crc32c.ts'
import { decompress } from './decompression.ts'
import { checkRecords } from './record-check.ts'
import type { CheckedRecords } from './record-check.ts'
import type { UnpackMeter } from './record-times.ts'
import { UnpackedTooLargeError } from './unpacked-too-large-error.ts'

/** A batch that may be appended. */
export interface ValidBatch extends CheckedRecords {
  readonly header: BatchHeader
}

/**
 * Checks what a producer sent for one partition, as Apache Kafka does for Produce 3 and later (LogValidator): exactly
 * one batch, of magic 2, whole, with a true CRC-32C and no control records, and each of its records in the form that
 * consumers read, also inside a compressed batch. That one may unpack to `maxUnpackedBytes`.
 *
 * @throws ProtocolError CORRUPT_MESSAGE, INVALID_RECORD, UNSUPPORTED_COMPRESSION_TYPE or MESSAGE_TOO_LARGE
 */
export function validateProducedBatch(
  records: Buffer,
  maxUnpackedBytes: number,
  meter: UnpackMeter,
): ValidBatch {
  if (records.length < batchLayout.records) {
    throw new ProtocolError(
      errorCodes.CORRUPT_MESSAGE,
      `a record batch has at least ${batchLayout.records} bytes, this one ${records.length}`,
    )
  }
  const magic = records.readInt8(batchLayout.magic)
  if (magic !== 2) {
    throw new ProtocolError(
      errorCodes.INVALID_RECORD,
      `record batches of magic ${magic} are not accepted, only 2`,
    )
  }
  const header = readBatchHeader(records)
  if (header.size > records.length || header.size < batchLayout.records) {
    throw new ProtocolError(
      errorCodes.CORRUPT_MESSAGE,
      `the batch claims ${header.size} bytes, ${records.length} were sent`,
    )
  }
  if (header.size < records.length) {
    throw new ProtocolError(errorCodes.INVALID_RECORD, 'one record batch per partition, more were sent')
  }
  const claimed = records.readUInt32BE(batchLayout.crc)
  const computed = crc32c(records, batchLayout.attributes)
  if (claimed !== computed) {
    throw new ProtocolError(
      errorCodes.CORRUPT_MESSAGE,
      `the CRC should be ${computed}, the batch says ${claimed}`,
    )
  }
  if (header.compression === undefined) {
    throw new ProtocolError(errorCodes.UNSUPPORTED_COMPRESSION_TYPE, 'unknown compression codec')
  }
  if (header.control) {
    throw new ProtocolError(errorCodes.INVALID_RECORD, 'clients may not write control records')
  }
  if (header.recordCount < 1 || header.lastOffsetDelta !== header.recordCount - 1) {
    throw new ProtocolError(
      errorCodes.INVALID_RECORD,
      `${header.recordCount} records do not fit a last offset delta of ${header.lastOffsetDelta}`,
    )
  }
  if (header.producerId >= 0 && header.baseSequence < 0) {
    throw new ProtocolError(errorCodes.INVALID_RECORD, `sequence number ${header.baseSequence} is negative`)
  }
  const packed = records.subarray(batchLayout.records)
  const unpacked = unpack(packed, header.compression, maxUnpackedBytes)
  if (unpacked !== packed) meter.unpackedBytes += unpacked.length
  return { header, ...checkRecords(unpacked, header.recordCount) }
}

/** Bytes that do not unpack can be read by nobody; what unpacks to too much is the producer's to split. */
function unpack(packed: Buffer, compression: CompressionCodec, maxBytes: number): Buffer {
  try {
    return decompress(compression, packed, maxBytes)
  } catch (error) {
    if (error instanceof UnpackedTooLargeError) {
      throw new ProtocolError(
        errorCodes.MESSAGE_TOO_LARGE,
        `the batch unpacks to more than maxUnpackedBytes = ${maxBytes}`,
      )
    }
    const problem = error instanceof Error ? error.message : String(error)
    throw new ProtocolError(errorCodes.INVALID_RECORD, `the batch is not ${compression}: ${problem}`)
  }
}
