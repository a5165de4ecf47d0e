/**
 * LZ4 frames, as Kafka's own clients write them: independent blocks of at most 64 KiB, without checksums of their own.
 *
 * Source: lz4's frame and block format descriptions (lz4_Frame_format.md, lz4_Block_format.md).
 */
import { BLOCK, Repetitions, SHORTEST } from './repetitions.ts'

/** The magic number, version 1 with independent blocks, 64 KiB, and the checksum over both. */
const HEAD = Buffer.of(0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82)
const STORED = 0x80000000
/** The last copy of a block begins as many bytes before its end, and the last bytes are as they are. */
const NO_COPY_IN = 12
const LAST_LITERALS = 5

export function packLz4(bytes: Buffer): Buffer {
  const blocks = Math.ceil(bytes.length / BLOCK)
  // A block takes a length, and what does not compress is stored; up to then it may be longer by 1 in 255.
  const out = Buffer.allocUnsafe(HEAD.length + bytes.length + blocks * 4 + 4 + (BLOCK >> 7) + 32)
  out.set(HEAD, 0)
  let at = HEAD.length
  const repetitions = new Repetitions(bytes.length)
  for (let start = 0; start < bytes.length; start += BLOCK) {
    const end = Math.min(bytes.length, start + BLOCK)
    const packed = packBlock(bytes, start, end, out, at + 4, repetitions) - at - 4
    if (packed < end - start) {
      at = out.writeUInt32LE(packed, at) + packed
    } else {
      at = out.writeUInt32LE(STORED + end - start, at)
      at += bytes.copy(out, at, start, end)
    }
  }
  return out.subarray(0, out.writeUInt32LE(0, at))
}

function packBlock(
  bytes: Buffer,
  start: number,
  end: number,
  out: Buffer,
  first: number,
  repetitions: Repetitions,
): number {
  let at = first
  /** What of a length does not fit in four bits goes on in the bytes that follow. */
  const rest = (length: number): void => {
    let left = length - 15
    for (; left >= 255; left -= 255) out[at++] = 255
    out[at++] = left
  }
  const literals = (from: number, until: number, copied: number): void => {
    const length = until - from
    out[at++] = (Math.min(length, 15) << 4) | Math.min(copied, 15)
    if (length >= 15) rest(length)
    if (length > 32) at += bytes.copy(out, at, from, until)
    else for (let next = from; next < until; next++) out[at++] = bytes[next]!
  }
  const done = repetitions.find(
    bytes,
    start,
    end,
    NO_COPY_IN,
    LAST_LITERALS,
    (from, until, distance, length) => {
      literals(from, until, length - SHORTEST)
      out[at++] = distance & 255
      out[at++] = distance >>> 8
      if (length - SHORTEST >= 15) rest(length - SHORTEST)
    },
  )
  literals(done, end, 0)
  return at
}
