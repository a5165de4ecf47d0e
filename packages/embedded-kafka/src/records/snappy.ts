import { MalformedError } from '../wire/malformed-error.ts'
import { UnpackedTooLargeError } from './unpacked-too-large-error.ts'

/** First bytes of the framing that Java clients use (xerial snappy-java); librdkafka sends one raw block. */
const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const xerialHeaderBytes = 16

/**
 * Unpacks snappy in either framing; `limit` bounds the result.
 * Source: the format description in google/snappy, and the stream header of snappy-java.
 */
export function decompressSnappy(packed: Buffer, limit: number): Buffer {
  if (packed.length < xerialHeaderBytes || !packed.subarray(0, 8).equals(xerialMagic)) {
    return decompressBlock(packed, limit)
  }
  const blocks: Buffer[] = []
  let total = 0
  let at = xerialHeaderBytes
  while (at < packed.length) {
    if (at + 4 > packed.length) throw new MalformedError('snappy: a block is cut off')
    const length = packed.readInt32BE(at)
    at += 4
    if (length < 0 || at + length > packed.length) throw new MalformedError('snappy: a block is cut off')
    const block = decompressBlock(packed.subarray(at, at + length), limit - total)
    blocks.push(block)
    total += block.length
    at += length
  }
  return Buffer.concat(blocks)
}

function decompressBlock(packed: Buffer, limit: number): Buffer {
  let at = 0
  const next = (): number => {
    const byte = packed[at]
    if (byte === undefined) throw new MalformedError('snappy: the block is cut off')
    at += 1
    return byte
  }
  const littleEndian = (bytes: number): number => {
    let value = 0
    for (let index = 0; index < bytes; index += 1) value += next() * 2 ** (8 * index)
    return value
  }

  let size = 0
  for (let shift = 0; ; shift += 7) {
    const byte = next()
    size += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) break
    if (shift >= 28) throw new MalformedError('snappy: the length has too many bytes')
  }
  if (size > limit) throw new UnpackedTooLargeError(limit)

  const out = Buffer.allocUnsafe(size)
  let written = 0
  while (at < packed.length) {
    const tag = next()
    const kind = tag & 3
    if (kind === 0) {
      let length = tag >>> 2
      if (length >= 60) length = littleEndian(length - 59)
      length += 1
      if (at + length > packed.length || written + length > size)
        throw new MalformedError('snappy: bad literal')
      packed.copy(out, written, at, at + length)
      at += length
      written += length
    } else {
      const length = kind === 1 ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1
      const distance = kind === 1 ? ((tag >>> 5) << 8) + next() : littleEndian(kind === 2 ? 2 : 4)
      if (distance === 0 || distance > written || written + length > size) {
        throw new MalformedError('snappy: bad copy')
      }
      // Byte by byte: a copy may overlap itself, which repeats a pattern.
      for (let index = 0; index < length; index += 1) out[written + index] = out[written + index - distance]!
      written += length
    }
  }
  if (written !== size) throw new MalformedError(`snappy: ${written} bytes came out, ${size} were announced`)
  return out
}
