/**
 * LZ4 frames, unpacked within a bound.
 *
 * Checksums are passed over: the batch's CRC-32C covers the bytes. Source: lz4's frame and block format descriptions
 * (lz4_Frame_format.md, lz4_Block_format.md); Kafka writes one frame, without a dictionary.
 */
import { Unpacked } from './unpacked.ts'

const MAGIC = 0x184d2204
const STORED = 0x80000000
const BLOCK_CHECKSUMS = 0x10
const CONTENT_SIZE = 0x08
const DICTIONARY = 0x01
const SHORTEST_COPY = 4

/** Throws `TooLarge` when more than `limit` bytes would come out, and an Error for what is no frame. */
export function unpackLz4(packed: Buffer, limit: number): Buffer {
  if (packed.length < 7 || packed.readUInt32LE(0) !== MAGIC) throw new Error('it is no LZ4 frame')
  const flags = packed.readUInt8(4)
  // Magic, flags and block size; what the flags announce; the head's checksum.
  let at = 6 + ((flags & CONTENT_SIZE) === 0 ? 0 : 8) + ((flags & DICTIONARY) === 0 ? 0 : 4) + 1
  const out = new Unpacked(limit, packed.length * 4)
  for (;;) {
    if (at + 4 > packed.length) throw new Error('the LZ4 frame is cut off')
    const word = packed.readUInt32LE(at)
    at += 4
    if (word === 0) return out.bytes
    const stored = word >= STORED
    const end = at + (stored ? word - STORED : word)
    if (end > packed.length) throw new Error('an LZ4 block is cut off')
    if (stored) out.add(packed, at, end)
    else unpackBlock(packed, at, end, out)
    at = end + ((flags & BLOCK_CHECKSUMS) === 0 ? 0 : 4)
  }
}

function unpackBlock(packed: Buffer, start: number, end: number, out: Unpacked): void {
  let at = start
  const byte = (): number => {
    if (at >= end) throw new Error('an LZ4 block is cut off')
    return packed[at++]!
  }
  /** A length of 15 goes on in the bytes that follow, up to the first that is not 255. */
  const length = (first: number): number => {
    let sum = first
    if (first === 15) {
      let more: number
      do sum += more = byte()
      while (more === 255)
    }
    return sum
  }
  while (at < end) {
    const token = byte()
    const literals = length(token >>> 4)
    if (at + literals > end) throw new Error('an LZ4 block is cut off')
    out.add(packed, at, at + literals)
    at += literals
    if (at === end) return // the last sequence of a block has literals only
    const distance = byte() + byte() * 256
    out.repeat(distance, length(token & 15) + SHORTEST_COPY)
  }
}
