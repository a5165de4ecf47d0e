/**
 * A run of record batches, one after the other in one block of memory, so that a fetch answers with a slice of it.
 * Batches are added at the end and never changed or moved; a segment is dropped as a whole.
 */
export class Segment {
  readonly baseOffset: number
  readonly bytes: Buffer
  /** Time of the last append, ms since the epoch. */
  appendedAt: number
  nextOffset: number
  #size = 0
  readonly #offsets: number[] = []
  readonly #positions: number[] = []
  readonly #maxTimestamps: number[] = []

  constructor(baseOffset: number, capacity: number, now: number) {
    this.baseOffset = baseOffset
    this.nextOffset = baseOffset
    this.appendedAt = now
    this.bytes = Buffer.allocUnsafeSlow(capacity)
  }

  /** Bytes of the batches in it. */
  get size(): number {
    return this.#size
  }

  /** Memory that it holds, used or not. */
  get capacity(): number {
    return this.bytes.length
  }

  get batchCount(): number {
    return this.#offsets.length
  }

  hasRoomFor(size: number): boolean {
    return this.#size + size <= this.bytes.length
  }

  /** Copies the batch to the end and returns the copy, which the caller may still complete (offset, epoch). */
  append(batch: Buffer, recordCount: number, maxTimestamp: number, now: number): Buffer {
    const start = this.#size
    batch.copy(this.bytes, start)
    this.#offsets.push(this.nextOffset)
    this.#positions.push(start)
    this.#maxTimestamps.push(maxTimestamp)
    this.#size = start + batch.length
    this.nextOffset += recordCount
    this.appendedAt = now
    return this.bytes.subarray(start, this.#size)
  }

  /** Index of the batch that holds `offset`, which is one of this segment's. */
  batchAt(offset: number): number {
    let low = 0
    let high = this.#offsets.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (this.#offsets[middle]! <= offset) low = middle
      else high = middle - 1
    }
    return low
  }

  batch(index: number): Buffer {
    return this.bytes.subarray(this.#positions[index], this.#positions[index + 1] ?? this.#size)
  }

  maxTimestamp(index: number): number {
    return this.#maxTimestamps[index]!
  }

  baseOffsetOf(index: number): number {
    return this.#offsets[index]!
  }

  /**
   * Whole batches from batch `first` on: those that begin below `endOffset` and fit into `maxBytes`. With `atLeastOne`
   * the first comes even if it does not fit. Empty if none fits.
   */
  slice(first: number, endOffset: number, maxBytes: number, atLeastOne: boolean): Buffer {
    const start = this.#positions[first]!
    const whole = endOffset >= this.nextOffset && this.#size - start <= maxBytes
    if (whole) return this.bytes.subarray(start, this.#size)
    let low = first
    let high = this.#positions.length
    // The batch after the last one that is given: the largest `low` whose start is within the bounds.
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      const end = this.#positions[middle] ?? this.#size
      if (end - start <= maxBytes && this.#offsets[middle - 1]! < endOffset) low = middle
      else high = middle - 1
    }
    if (low === first && atLeastOne && this.#offsets[first]! < endOffset) low = first + 1
    return this.bytes.subarray(start, this.#positions[low] ?? this.#size)
  }

  /** Whether nothing follows after this slice of it. */
  endsWith(slice: Buffer): boolean {
    return slice.byteOffset + slice.length === this.bytes.byteOffset + this.#size
  }
}
