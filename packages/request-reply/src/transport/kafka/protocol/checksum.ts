/**
 * CRC-32C as record batches have it.
 *
 * The client's own function copies a Buffer before it looks at it, into memory that V8 then has to collect; what it is
 * given as a `DynamicBuffer` of one piece it reads where it lies.
 */
import { Writer, crc32c } from '@platformatic/kafka'

export function checksum(bytes: Buffer): number {
  return crc32c(Writer.create().append(bytes).dynamicBuffer) >>> 0
}
