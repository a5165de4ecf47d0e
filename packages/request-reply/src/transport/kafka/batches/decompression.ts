/**
 * What was compressed, unpacked within a bound: a few kilobytes may become gigabytes, and whoever may write to a topic may
 * send them.
 *
 * Snappy and LZ4 are unpacked here, gzip and zstd are Node's.
 */
// As a whole: a name that an older Node lacks would fail before `node-version.ts` can speak.
import zlib from 'node:zlib'
import { unpackLz4 } from './lz4.ts'
import { unpackSnappy } from './snappy.ts'
import { TooLarge } from './unpacked.ts'

/** By the number that stands in a batch's attributes. */
const unpackers: Readonly<Record<number, (packed: Buffer, limit: number) => Buffer>> = {
  1: (packed, limit) => zlib.gunzipSync(packed, { maxOutputLength: limit }),
  2: unpackSnappy,
  3: unpackLz4,
  4: unpackZstd,
}
/** Most frames of zstd, one behind the other: an empty one takes 8 bytes, and as long as a small one to unpack. */
const MOST_FRAMES = 1_000

/** Throws `TooLarge` when more than `limit` bytes would come out, and an Error for what is not of this compression. */
export function decompress(compression: number, packed: Buffer, limit: number): Buffer {
  const unpack = unpackers[compression]
  if (unpack === undefined) throw new Error(`compression ${compression} is not known`)
  // Node takes no bound of 0.
  if (limit < 1) throw new TooLarge()
  try {
    return unpack(packed, limit)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE')
      throw new TooLarge()
    throw error
  }
}

/** Frames may follow one another, as gzip's members may; Node unpacks the first, and does not say that more are there. */
function unpackZstd(packed: Buffer, limit: number): Buffer {
  const parts: Buffer[] = []
  let left = limit
  for (let at = 0; at < packed.length || parts.length === 0;) {
    if (parts.length === MOST_FRAMES) throw new Error(`it has more than ${MOST_FRAMES} frames of zstd`)
    const options = { maxOutputLength: Math.max(1, left), info: true }
    const { buffer, engine } = zlib.zstdDecompressSync(packed.subarray(at), options) as unknown as Unzstd
    at += engine.bytesWritten
    left -= buffer.length
    if (left < 0) throw new TooLarge()
    parts.push(buffer)
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
}

/** What Node gives with `info`: the bytes, and who knows how many were read for them. */
interface Unzstd {
  readonly buffer: Buffer
  readonly engine: { readonly bytesWritten: number }
}
