/** The protocol's primitive types, for what is written into one buffer and read from where it lies. */

/** Writes an unsigned varint (KIP-482); returns where it ends. */
export function writeUnsigned(buffer: Buffer, start: number, value: number): number {
  let rest = value
  let at = start
  while (rest >= 0x80) {
    buffer[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  buffer[at++] = rest
  return at
}

/** What stands where a topic has, or needs, no id. */
export const NO_TOPIC_ID = '00000000-0000-0000-0000-000000000000'

/** The UUID that stands here, as metadata has it. */
export function readUuid(buffer: Buffer, at: number): string {
  const hex = buffer.toString('hex', at, at + 16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** Exact up to 2^53 − 1, without a bigint. */
export function readLong(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at) * 2 ** 32 + buffer.readUInt32BE(at + 4)
}

/** Exact up to 2^53 − 1, without a bigint; returns where it ends. */
export function writeLong(buffer: Buffer, at: number, value: number): number {
  buffer.writeInt32BE(Math.floor(value / 2 ** 32), at)
  return buffer.writeUInt32BE(value >>> 0, at + 4)
}
