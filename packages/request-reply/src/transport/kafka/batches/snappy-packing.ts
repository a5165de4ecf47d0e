/**
 * Snappy, as one raw block, which brokers and clients read beside the frames of xerial's snappy-java.
 *
 * Source: the format description in google/snappy.
 */
import { writeUnsigned } from '../protocol/primitive-types.ts'
import { BLOCK, Repetitions, SHORTEST } from './repetitions.ts'

const LITERAL = 0
const NEAR_COPY = 1
const COPY = 2
/** What a near copy can be: of 4 to 11 bytes, from less than 2,048 before. */
const MOST_NEAR = 11
const NEAR = 2_048
const MOST = 64

export function packSnappy(bytes: Buffer): Buffer {
  // The longest that can come out, as google/snappy has it.
  const out = Buffer.allocUnsafe(32 + bytes.length + Math.ceil(bytes.length / 6))
  let at = writeUnsigned(out, 0, bytes.length)
  const literal = (from: number, until: number): void => {
    const length = until - from
    if (length === 0) return
    const less = length - 1
    if (less < 60) out[at++] = (less << 2) | LITERAL
    else {
      const size = less < 256 ? 1 : 2
      out[at++] = ((59 + size) << 2) | LITERAL
      at = out.writeUIntLE(less, at, size)
    }
    if (length > 32) at += bytes.copy(out, at, from, until)
    else for (let next = from; next < until; next++) out[at++] = bytes[next]!
  }
  const copy = (distance: number, length: number): void => {
    if (length <= MOST_NEAR && distance < NEAR) {
      out[at++] = ((distance >>> 8) << 5) | ((length - SHORTEST) << 2) | NEAR_COPY
      out[at++] = distance & 255
      return
    }
    out[at++] = ((length - 1) << 2) | COPY
    out[at++] = distance & 255
    out[at++] = distance >>> 8
  }
  const repetitions = new Repetitions(bytes.length)
  for (let start = 0; start < bytes.length; start += BLOCK) {
    const end = Math.min(bytes.length, start + BLOCK)
    const done = repetitions.find(bytes, start, end, 0, 0, (from, until, distance, length) => {
      literal(from, until)
      let left = length
      for (; left > MOST; left -= MOST) copy(distance, MOST)
      // Copies of less than 4 bytes are of the long kind.
      if (left >= SHORTEST) copy(distance, left)
      else out.set([((left - 1) << 2) | COPY, distance & 255, distance >>> 8], (at += 3) - 3)
    })
    literal(done, end)
  }
  return out.subarray(0, at)
}
