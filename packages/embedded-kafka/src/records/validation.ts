import { errorCodes } from '../wire/error-codes.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import { batchLayout, readBatchHeader } from './batch.ts'
import type { BatchHeader } from './batch.ts'
import { crc32c } from './crc32c.ts'

/**
 * Checks what a producer sent for one partition, as Apache Kafka does for Produce 3 and later: exactly one batch, of
 * magic 2, whole, with a true CRC-32C, as many records as it claims and no control records. Records inside a
 * compressed batch are taken on trust (Apache Kafka unpacks them; here the CRC has to do).
 *
 * @throws ProtocolError CORRUPT_MESSAGE, INVALID_RECORD or UNSUPPORTED_COMPRESSION_TYPE
 */
export function validateProducedBatch(records: Buffer): BatchHeader {
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
  if (header.compression === 'none' && !holdsRecords(records, header.recordCount)) {
    throw new ProtocolError(
      errorCodes.INVALID_RECORD,
      `the batch does not hold the ${header.recordCount} records that it claims`,
    )
  }
  return header
}

/** Whether the lengths of the records lead exactly to the batch's end. They are stepped over, not decoded. */
function holdsRecords(batch: Buffer, count: number): boolean {
  let at: number = batchLayout.records
  for (let index = 0; index < count; index += 1) {
    // A zigzag varint, read in place: this runs once for each record of every produce request.
    let zigzag = 0
    let shift = 0
    let byte = 0x80
    while (byte >= 0x80) {
      if (at >= batch.length || shift > 28) return false
      byte = batch[at]!
      zigzag |= (byte & 0x7f) << shift
      shift += 7
      at += 1
    }
    const length = (zigzag >>> 1) ^ -(zigzag & 1)
    if (length < 1 || length > batch.length - at) return false
    at += length
  }
  return at === batch.length
}
