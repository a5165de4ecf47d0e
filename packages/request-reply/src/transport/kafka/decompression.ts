/**
 * What was compressed, unpacked within a bound: a few kilobytes may become gigabytes, and whoever may write to a topic may
 * send them.
 *
 * Snappy and LZ4 are unpacked here: the client's own functions know no bound. gzip and zstd are Node's.
 */
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { unpackLz4 } from './lz4.ts'
import { unpackSnappy } from './snappy.ts'
import { TooLarge } from './unpacked.ts'

/** By the number that stands in a batch's attributes. */
const unpackers: Readonly<Record<number, (packed: Buffer, limit: number) => Buffer>> = {
  1: (packed, limit) => gunzipSync(packed, { maxOutputLength: limit }),
  2: unpackSnappy,
  3: unpackLz4,
  4: (packed, limit) => zstdDecompressSync(packed, { maxOutputLength: limit }),
}

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
