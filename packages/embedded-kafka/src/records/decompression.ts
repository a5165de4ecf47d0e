// As a whole: a name that an older Node lacks would fail before `node-version.ts` can speak.
import zlib from 'node:zlib'
import type { CompressionCodec } from './batch.ts'
import { decompressLz4 } from './lz4.ts'
import { decompressSnappy } from './snappy.ts'
import { UnpackedTooLargeError } from './unpacked-too-large-error.ts'

type Decompressor = (packed: Buffer, limit: number) => Buffer

const decompressors: Readonly<Record<CompressionCodec, Decompressor>> = {
  none: (packed) => packed,
  gzip: (packed, limit) => within(limit, () => zlib.gunzipSync(packed, { maxOutputLength: limit })),
  snappy: decompressSnappy,
  lz4: decompressLz4,
  zstd: (packed, limit) => within(limit, () => zlib.zstdDecompressSync(packed, { maxOutputLength: limit })),
}

/**
 * The records of a batch, unpacked. Throws if the bytes are not of this codec.
 * @throws UnpackedTooLargeError if they would unpack to more than `limit`
 */
export function decompress(codec: CompressionCodec, packed: Buffer, limit: number): Buffer {
  return decompressors[codec](packed, limit)
}

function within(limit: number, unpack: () => Buffer): Buffer {
  try {
    return unpack()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') {
      throw new UnpackedTooLargeError(limit)
    }
    throw error
  }
}
