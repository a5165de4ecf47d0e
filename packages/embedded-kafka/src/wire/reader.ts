import { MalformedError } from './malformed-error.ts'

const twoTo32 = 4_294_967_296

/**
 * Reads the fields of one request from a frame, in the protocol's order.
 *
 * `flexible` says which encoding the version at hand has (KIP-482): strings, bytes and arrays are compact and each
 * structure ends in tagged fields. The methods follow it, so that one handler serves both: it calls `tags()` at the
 * end of each structure, which reads nothing in the older encoding.
 *
 * Whatever runs past the end of the frame, each length that cannot be true, and more than `maxElements` elements of
 * arrays in one request throw a MalformedError: an element may take a byte of the frame and hundreds in memory. Buffers
 * that are handed out share the frame's memory.
 */
export class Reader {
  flexible: boolean
  position: number
  readonly #buffer: Buffer
  readonly #end: number
  readonly #maxElements: number
  #elements = 0

  constructor(buffer: Buffer, flexible = false, position = 0, maxElements: number = Infinity) {
    this.#buffer = buffer
    this.#end = buffer.length
    this.flexible = flexible
    this.position = position
    this.#maxElements = maxElements
  }

  get remaining(): number {
    return this.#end - this.position
  }

  boolean(): boolean {
    return this.int8() !== 0
  }

  int8(): number {
    return this.#buffer.readInt8(this.#advance(1))
  }

  int16(): number {
    return this.#buffer.readInt16BE(this.#advance(2))
  }

  int32(): number {
    return this.#buffer.readInt32BE(this.#advance(4))
  }

  /** As a number: offsets, timestamps and producer ids are exact up to 2^53, anything beyond is rounded. */
  int64(): number {
    const at = this.#advance(8)
    return this.#buffer.readInt32BE(at) * twoTo32 + this.#buffer.readUInt32BE(at + 4)
  }

  float64(): number {
    return this.#buffer.readDoubleBE(this.#advance(8))
  }

  /** An unsigned varint of at most 32 bits. */
  uvarint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#buffer.readUInt8(this.#advance(1))
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) {
        if (value >= twoTo32) break
        return value
      }
    }
    throw new MalformedError(`a varint before byte ${this.position} has more than 32 bits`)
  }

  /** A signed (zigzag) varint of at most 32 bits. */
  varint(): number {
    const value = this.uvarint()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  /** A signed (zigzag) varint of at most 64 bits, rounded beyond 2^53. */
  varlong(): number {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#buffer.readUInt8(this.#advance(1))
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return Number(BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n)))
    }
    throw new MalformedError(`a varlong before byte ${this.position} has more than 64 bits`)
  }

  /** A UUID in its usual text form; the zero UUID stands for "none". */
  uuid(): string {
    const at = this.#advance(16)
    const hex = this.#buffer.toString('hex', at, at + 16)
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  }

  string(): string {
    const value = this.nullableString()
    if (value === null)
      throw new MalformedError(`a string before byte ${this.position} is null and may not be`)
    return value
  }

  nullableString(): string | null {
    const length = this.flexible ? this.uvarint() - 1 : this.int16()
    if (length === -1) return null
    const at = this.#advance(length)
    return this.#buffer.toString('utf8', at, at + length)
  }

  bytes(): Buffer {
    const value = this.nullableBytes()
    if (value === null) throw new MalformedError(`bytes before byte ${this.position} are null and may not be`)
    return value
  }

  nullableBytes(): Buffer | null {
    const length = this.flexible ? this.uvarint() - 1 : this.int32()
    if (length === -1) return null
    return this.raw(length)
  }

  /** The next `length` bytes, without a length before them. */
  raw(length: number): Buffer {
    const at = this.#advance(length)
    return this.#buffer.subarray(at, at + length)
  }

  /** An array; null reads as empty. `element` reads one element, its `tags()` included. */
  array<T>(element: (reader: Reader) => T): T[] {
    return this.nullableArray(element) ?? []
  }

  nullableArray<T>(element: (reader: Reader) => T): T[] | null {
    const length = this.flexible ? this.uvarint() - 1 : this.int32()
    if (length === -1) return null
    // Each element takes at least a byte, so a length beyond the frame is refused before anything is allocated.
    if (length < 0 || length > this.remaining) {
      throw new MalformedError(`an array before byte ${this.position} claims ${length} elements`)
    }
    this.#count(length)
    const elements: T[] = []
    for (let index = 0; index < length; index += 1) elements.push(element(this))
    return elements
  }

  /** Reads the tagged fields that end a structure and passes over all of them, unless `field` takes one. */
  tags(field?: (tag: number, value: Reader) => void): void {
    if (!this.flexible) return
    const count = this.uvarint()
    if (count > this.remaining)
      throw new MalformedError(`${count} tagged fields claimed at byte ${this.position}`)
    this.#count(count)
    for (let index = 0; index < count; index += 1) {
      const tag = this.uvarint()
      const value = this.raw(this.uvarint())
      field?.(tag, new Reader(value, true))
    }
  }

  /** Nothing may follow. */
  end(): void {
    if (this.remaining > 0) {
      throw new MalformedError(
        `${this.remaining} bytes after its last field, which ends at byte ${this.position}`,
      )
    }
  }

  #count(elements: number): void {
    this.#elements += elements
    if (this.#elements > this.#maxElements) {
      throw new MalformedError(`more than ${this.#maxElements} elements (maxRequestElements)`)
    }
  }

  #advance(length: number): number {
    const at = this.position
    if (length < 0 || length > this.#end - at) {
      throw new MalformedError(`${length} bytes wanted at byte ${at} of a frame of ${this.#end}`)
    }
    this.position = at + length
    return at
  }
}
