/** Batches' records packed. Snappy and LZ4 are packed here, gzip and zstd are Node's. */
// As a whole: a name that an older Node lacks would fail before `node-version.ts` can speak.
import zlib from 'node:zlib'
import type { Compression } from '../options.ts'
import { packLz4 } from './lz4-packing.ts'
import { packSnappy } from './snappy-packing.ts'

interface Packing {
  /** How a batch's attributes name it. */
  readonly attribute: number
  readonly pack: (bytes: Buffer) => Buffer
}

export const packings: Readonly<Record<Exclude<Compression, 'none'>, Packing>> = {
  gzip: { attribute: 1, pack: (bytes) => zlib.gzipSync(bytes) },
  snappy: { attribute: 2, pack: packSnappy },
  lz4: { attribute: 3, pack: packLz4 },
  zstd: { attribute: 4, pack: (bytes) => zlib.zstdCompressSync(bytes) },
}
