/** Reflected form of the Castagnoli polynomial (RFC 3720, appendix B.4). */
const polynomial = 0x82f63b78

/** Eight tables, so that eight bytes are folded in at a time ("slicing by 8"). */
const tables = buildTables()

function buildTables(): Int32Array {
  const built = new Int32Array(8 * 256)
  for (let index = 0; index < 256; index += 1) {
    let value = index
    for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1
    built[index] = value
  }
  for (let index = 256; index < built.length; index += 1) {
    const previous = built[index - 256]!
    built[index] = built[previous & 0xff]! ^ (previous >>> 8)
  }
  return built
}

/** CRC-32C of `bytes` from `start` to `end`, as an unsigned number. Record batches carry it (Kafka protocol, magic 2). */
export function crc32c(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  const table = tables
  let crc = -1
  let at = start
  for (const last = end - 7; at < last; at += 8) {
    const low = crc ^ (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24))
    crc =
      table[1792 + (low & 0xff)]! ^
      table[1536 + ((low >>> 8) & 0xff)]! ^
      table[1280 + ((low >>> 16) & 0xff)]! ^
      table[1024 + (low >>> 24)]! ^
      table[768 + bytes[at + 4]!]! ^
      table[512 + bytes[at + 5]!]! ^
      table[256 + bytes[at + 6]!]! ^
      table[bytes[at + 7]!]!
  }
  for (; at < end; at += 1) crc = table[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8)
  return ~crc >>> 0
}
