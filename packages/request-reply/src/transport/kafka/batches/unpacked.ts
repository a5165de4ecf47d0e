/** What has come out of a compressed stretch so far. */

/** More would come out than is allowed. */
export class TooLarge extends Error {}

/** Copies as short as this are made byte by byte: faster than a call. */
const SHORT = 32

export class Unpacked {
  #buffer: Buffer
  #size = 0
  readonly #limit: number

  /** `expected`: bytes to begin with, when that is known. */
  constructor(limit: number, expected: number) {
    this.#limit = limit
    this.#buffer = Buffer.allocUnsafe(Math.min(limit, expected))
  }

  get size(): number {
    return this.#size
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#size)
  }

  /** Bytes as they are. */
  add(from: Buffer, start: number, end: number): void {
    const length = end - start
    this.#reserve(length)
    const buffer = this.#buffer
    let at = this.#size
    this.#size += length
    if (length > SHORT) from.copy(buffer, at, start, end)
    else for (let next = start; next < end; next++) buffer[at++] = from[next]!
  }

  /** Once more what came out `distance` bytes ago; the copy may overlap itself, which repeats a pattern. */
  repeat(distance: number, length: number): void {
    if (distance === 0 || distance > this.#size)
      throw new Error('what is compressed refers to what is not there')
    this.#reserve(length)
    const buffer = this.#buffer
    const start = this.#size
    this.#size += length
    if (length > SHORT && distance >= length) {
      buffer.copyWithin(start, start - distance, start - distance + length)
    } else if (length > SHORT && distance === 1) {
      buffer.fill(buffer[start - 1]!, start, start + length)
    } else {
      for (let at = start; at < start + length; at++) buffer[at] = buffer[at - distance]!
    }
  }

  #reserve(length: number): void {
    const wanted = this.#size + length
    if (wanted > this.#limit) throw new TooLarge()
    if (wanted <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.min(this.#limit, Math.max(wanted, this.#buffer.length * 2)))
    this.#buffer.copy(larger, 0, 0, this.#size)
    this.#buffer = larger
  }
}
