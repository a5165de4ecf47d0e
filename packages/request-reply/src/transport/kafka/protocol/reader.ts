import { readLong, readUuid } from './primitive-types.ts'

/** An answer that is not what Kafka's message definitions say. The connection that it came by is of no more use. */
export class MalformedAnswer extends Error {
  override name = 'MalformedAnswer'
}

/**
 * Reads the body of an answer, from its first byte to its last. `flexible`: lengths are compact and structures end in
 * tagged fields (KIP-482). Every length is checked against what is there before anything is made of it.
 */
export class Reader {
  readonly bytes: Buffer
  readonly flexible: boolean
  at: number
  /** Milliseconds that the broker wants to be left in peace (KIP-219); set where the answer says so. */
  throttle = 0

  constructor(bytes: Buffer, flexible: boolean, at = 0) {
    this.bytes = bytes
    this.flexible = flexible
    this.at = at
  }

  get left(): number {
    return this.bytes.length - this.at
  }

  /** Passes over so many bytes; gives where they begin. */
  skip(length: number): number {
    const start = this.at
    if (length < 0 || length > this.left) {
      throw new MalformedAnswer(`${length} bytes at ${start} go beyond the answer's ${this.bytes.length}`)
    }
    this.at = start + length
    return start
  }

  bool(): boolean {
    return this.bytes[this.skip(1)] !== 0
  }

  int8(): number {
    return this.bytes.readInt8(this.skip(1))
  }

  int16(): number {
    return this.bytes.readInt16BE(this.skip(2))
  }

  int32(): number {
    return this.bytes.readInt32BE(this.skip(4))
  }

  /** Exact up to 2^53 − 1. */
  int64(): number {
    return readLong(this.bytes, this.skip(8))
  }

  bigint64(): bigint {
    return this.bytes.readBigInt64BE(this.skip(8))
  }

  uuid(): string {
    return readUuid(this.bytes, this.skip(16))
  }

  unsigned(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.bytes[this.skip(1)]!
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value >>> 0
    }
    throw new MalformedAnswer(`the number at ${this.at} is too long`)
  }

  nullableText(): string | null {
    const length = this.#length(2)
    if (length < 0) return null
    const start = this.skip(length)
    return this.bytes.toString('utf8', start, start + length)
  }

  text(): string {
    const text = this.nullableText()
    if (text === null) throw new MalformedAnswer(`a text at ${this.at} is null`)
    return text
  }

  /** A view of the answer's own memory: whoever keeps it copies it. */
  nullableBlob(): Buffer | null {
    const length = this.#length(4)
    if (length < 0) return null
    const start = this.skip(length)
    return this.bytes.subarray(start, start + length)
  }

  blob(): Buffer {
    const blob = this.nullableBlob()
    if (blob === null) throw new MalformedAnswer(`bytes at ${this.at} are null`)
    return blob
  }

  /** Null is empty. An element takes at least a byte, so that a forged length cannot ask for more than has come. */
  array<Element>(element: (reader: Reader) => Element): Element[] {
    const length = this.#length(4)
    if (length > this.left) {
      throw new MalformedAnswer(`${length} elements at ${this.at} do not fit in ${this.left} bytes`)
    }
    const elements: Element[] = []
    for (let left = length; left > 0; left--) elements.push(element(this))
    return elements
  }

  /** Passes over the tagged fields at the end of a structure, where there are some; `known` may read what it knows. */
  tags(known?: (tag: number) => void): void {
    if (!this.flexible) return
    for (let tags = this.unsigned(); tags > 0; tags--) {
      const tag = this.unsigned()
      const length = this.unsigned()
      const start = this.skip(length)
      if (known === undefined) continue
      this.at = start
      known(tag)
      this.at = start + length
    }
  }

  /** −1 for null. `size`: bytes of the length where it is not compact. */
  #length(size: 2 | 4): number {
    if (this.flexible) return this.unsigned() - 1
    return size === 2 ? this.int16() : this.int32()
  }
}
