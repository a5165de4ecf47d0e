/**
 * Snappy, unpacked within a bound: raw blocks as librdkafka sends them, or in the frames of xerial's snappy-java.
 *
 * Source: the format description in google/snappy, and the stream header of snappy-java.
 */
import { TooLarge, Unpacked } from './unpacked.ts'

const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
/** The mark, a version and the oldest version that can read it. */
const XERIAL_HEAD = 16
/** Most bytes that come out of one: a copy of 64 takes 3. */
const MOST = 22

/** Throws `TooLarge` when more than `limit` bytes would come out, and an Error for what is not Snappy. */
export function unpackSnappy(packed: Buffer, limit: number): Buffer {
  if (packed.length < XERIAL_HEAD || !packed.subarray(0, XERIAL.length).equals(XERIAL)) {
    const out = new Unpacked(limit, announced(packed, 0, packed.length, limit).size)
    unpackBlock(packed, 0, packed.length, out, limit)
    return out.bytes
  }
  const out = new Unpacked(limit, packed.length * 4)
  let at = XERIAL_HEAD
  while (at < packed.length) {
    if (at + 4 > packed.length) throw new Error('a Snappy block is cut off')
    const end = at + 4 + packed.readUInt32BE(at)
    if (end > packed.length) throw new Error('a Snappy block is cut off')
    unpackBlock(packed, at + 4, end, out, limit)
    at = end
  }
  return out.bytes
}

/** A block begins with the size of what comes out, as an unsigned varint; which need not be true. */
function announced(packed: Buffer, start: number, end: number, limit: number): { size: number; at: number } {
  let size = 0
  let at = start
  for (let scale = 1; ; scale *= 128) {
    if (at >= end || scale > 2 ** 28) throw new Error('a Snappy block has no size')
    const byte = packed[at++]!
    size += (byte & 0x7f) * scale
    if (byte < 0x80) break
  }
  if (size > (end - at) * MOST) throw new Error(`a Snappy block of ${end - at} bytes cannot become ${size}`)
  if (size > limit) throw new TooLarge()
  return { size, at }
}

function unpackBlock(packed: Buffer, start: number, end: number, out: Unpacked, limit: number): void {
  const before = out.size
  const { size, at: first } = announced(packed, start, end, limit)
  let at = first
  const littleEndian = (bytes: number): number => {
    if (at + bytes > end) throw new Error('a Snappy block is cut off')
    let value = packed[at++]!
    for (let scale = 256, left = bytes; left > 1; left--, scale *= 256) value += packed[at++]! * scale
    return value
  }
  while (at < end) {
    const tag = packed[at++]!
    const kind = tag & 3
    if (kind === 0) {
      const short = tag >>> 2
      const length = (short < 60 ? short : littleEndian(short - 59)) + 1
      if (at + length > end) throw new Error('a Snappy block is cut off')
      out.add(packed, at, at + length)
      at += length
    } else {
      const length = kind === 1 ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1
      const distance = kind === 1 ? (tag >>> 5) * 256 + littleEndian(1) : littleEndian(kind === 2 ? 2 : 4)
      if (distance > out.size - before) throw new Error('what is compressed refers to what is not there')
      out.repeat(distance, length)
    }
  }
  if (out.size - before !== size) throw new Error('a Snappy block is not as long as it says')
}
