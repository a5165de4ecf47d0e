import { writeLong, writeUnsigned } from './primitive-types.ts'

const FIRST_SIZE = 256

/**
 * Writes a request. `flexible`: lengths are compact and structures end in tagged fields (KIP-482).
 *
 * What is large goes in as it is (`piece`): a request is a list of buffers, in which small fields stand together.
 */
export class Writer {
  flexible: boolean
  readonly #pieces: Buffer[] = []
  #buffer: Buffer = Buffer.allocUnsafe(FIRST_SIZE)
  #start = 0
  #at = 0
  #length = 0

  constructor(flexible: boolean) {
    this.flexible = flexible
  }

  bool(value: boolean): this {
    return this.int8(value ? 1 : 0)
  }

  int8(value: number): this {
    this.#room(1)
    this.#at = this.#buffer.writeInt8(value, this.#at)
    return this
  }

  int16(value: number): this {
    this.#room(2)
    this.#at = this.#buffer.writeInt16BE(value, this.#at)
    return this
  }

  int32(value: number): this {
    this.#room(4)
    this.#at = this.#buffer.writeInt32BE(value, this.#at)
    return this
  }

  /** Exact up to 2^53 − 1. */
  int64(value: number): this {
    this.#room(8)
    this.#at = writeLong(this.#buffer, this.#at, value)
    return this
  }

  bigint64(value: bigint): this {
    this.#room(8)
    this.#at = this.#buffer.writeBigInt64BE(value, this.#at)
    return this
  }

  /** As metadata has it. */
  uuid(value: string): this {
    this.#room(16)
    this.#at += this.#buffer.write(value.replaceAll('-', ''), this.#at, 'hex')
    return this
  }

  unsigned(value: number): this {
    this.#room(5)
    this.#at = writeUnsigned(this.#buffer, this.#at, value)
    return this
  }

  text(value: string | null): this {
    const length = value === null ? -1 : Buffer.byteLength(value)
    this.#lengthOf(length, 2)
    if (value === null) return this
    this.#room(length)
    this.#at += this.#buffer.write(value, this.#at)
    return this
  }

  /** Copied: for what is small. */
  blob(value: Buffer | null): this {
    this.#lengthOf(value === null ? -1 : value.length, 4)
    if (value === null) return this
    this.#room(value.length)
    this.#buffer.set(value, this.#at)
    this.#at += value.length
    return this
  }

  /** As `blob`, without a copy: nobody may change these bytes until they are on the wire. */
  piece(value: Buffer): this {
    this.#lengthOf(value.length, 4)
    this.#cut()
    this.#pieces.push(value)
    this.#length += value.length
    return this
  }

  array<Element>(elements: readonly Element[] | null, element: (writer: this, one: Element) => void): this {
    this.#lengthOf(elements === null ? -1 : elements.length, 4)
    for (const one of elements ?? []) element(this, one)
    return this
  }

  /** No tagged fields, at the end of a structure. */
  tags(): this {
    return this.flexible ? this.unsigned(0) : this
  }

  /** Bytes so far. */
  get length(): number {
    return this.#length + this.#at - this.#start
  }

  /** What was written, in pieces. The writer is used up. */
  finish(): readonly Buffer[] {
    this.#cut()
    return this.#pieces
  }

  #lengthOf(length: number, size: 2 | 4): void {
    if (this.flexible) this.unsigned(length + 1)
    else if (size === 2) this.int16(length)
    else this.int32(length)
  }

  /** What stands in the buffer becomes a piece; the rest of it is written on. */
  #cut(): void {
    if (this.#at === this.#start) return
    this.#pieces.push(this.#buffer.subarray(this.#start, this.#at))
    this.#length += this.#at - this.#start
    this.#start = this.#at
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return
    this.#cut()
    this.#buffer = Buffer.allocUnsafe(Math.max(bytes, FIRST_SIZE, this.#length))
    this.#start = 0
    this.#at = 0
  }
}
