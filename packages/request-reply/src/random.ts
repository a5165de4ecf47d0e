import { randomFillSync } from 'node:crypto'

/** A source of unpredictable bytes, passed in so that a simulation can own it. */
export type RandomBytes = (length: number) => Buffer

const poolSize = 4096
let pool = Buffer.alloc(0)
let used = 0

/**
 * Bytes of the system's cryptographic generator, drawn in blocks: one call into it for 256 correlation ids.
 * Every result is memory of its own block's, never handed out twice.
 */
export const systemRandom: RandomBytes = (length) => {
  if (used + length > pool.length) {
    pool = randomFillSync(Buffer.allocUnsafeSlow(Math.max(poolSize, length)))
    used = 0
  }
  const bytes = pool.subarray(used, used + length)
  used += length
  return bytes
}
