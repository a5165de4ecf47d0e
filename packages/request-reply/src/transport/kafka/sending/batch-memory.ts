/**
 * Memory for batches, used again once a batch is through.
 *
 * V8 collects its whole heap for every few tens of MiB that Buffers have taken outside of it, however short they lived:
 * with large payloads that is most of what a request costs, and each Buffer less counts.
 */

/** Below this many bytes Node's own pool and V8's young generation do as well. */
const LEAST = 16 * 1024
/** Sizes are multiples of it: batches of a few records more or less can use each other's memory. */
const STEP = 64 * 1024
const MOST_SPARE_BYTES = 4 * 1024 * 1024
const MOST_SPARE = 8

export class BatchMemory {
  /** The one that was given back first stands first. */
  readonly #spare: Buffer[] = []
  #spareBytes = 0

  /** At least so many bytes, with anything in them. */
  take(size: number): Buffer {
    if (size < LEAST) return Buffer.allocUnsafe(size)
    const index = this.#spare.findIndex((one) => one.length >= size)
    // A memory of its own, not a part of Node's pool: `giveBack` relies on it.
    return index === -1 ? Buffer.allocUnsafeSlow(Math.ceil(size / STEP) * STEP) : this.#remove(index)
  }

  /** Takes back what `take` gave, or the first part of it; nobody may look at it from now on. */
  giveBack(bytes: Buffer): void {
    if (bytes.length < LEAST) return
    const whole = Buffer.from(bytes.buffer)
    if (whole.length > MOST_SPARE_BYTES) return
    this.#spare.push(whole)
    this.#spareBytes += whole.length
    while (this.#spareBytes > MOST_SPARE_BYTES || this.#spare.length > MOST_SPARE) this.#remove(0)
  }

  #remove(index: number): Buffer {
    const [one] = this.#spare.splice(index, 1)
    this.#spareBytes -= one!.length
    return one!
  }
}
