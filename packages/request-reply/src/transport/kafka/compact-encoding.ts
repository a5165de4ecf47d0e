/** The protocol's compact encodings (KIP-482), where requests are written into one buffer. */

/** Writes an unsigned varint; returns where it ends. */
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

/** The UUID that stands here, as metadata has it. */
export function readUuid(buffer: Buffer, at: number): string {
  const hex = buffer.toString('hex', at, at + 16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
