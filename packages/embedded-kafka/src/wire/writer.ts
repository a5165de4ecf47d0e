import { ResponseTooLargeError } from './response-too-large-error.ts'

const twoTo32 = 4_294_967_296
const initialBytes = 512
/** So much is written in one step. */
const bytesPerTurn = 128 * 1024

/**
 * Writes one response, in the protocol's order. `flexible` works as in Reader: call `tags()` at the end of each
 * structure. Records are passed on by reference, never copied: `take()` gives the pieces in order for one
 * gathering write. What is copied may have `maxBytes`, records not counted: beyond that a ResponseTooLargeError is
 * thrown.
 */
export class Writer {
  flexible: boolean
  #buffer: Buffer
  #position: number = 0
  /** Where the part of the buffer that is not in a piece yet begins. */
  #start = 0
  readonly #pieces: Buffer[] = []
  #pieceBytes = 0
  /** Bytes in pieces that were copied. */
  #copied = 0
  readonly #maxBytes: number

  constructor(flexible = false, size: number = initialBytes, maxBytes: number = Infinity) {
    this.flexible = flexible
    this.#maxBytes = maxBytes
    this.#buffer = Buffer.allocUnsafe(size)
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#pieceBytes + this.#position - this.#start
  }

  boolean(value: boolean): void {
    this.int8(value ? 1 : 0)
  }

  int8(value: number): void {
    const at = this.#reserve(1)
    this.#buffer.writeInt8(value, at)
  }

  int16(value: number): void {
    const at = this.#reserve(2)
    this.#buffer.writeInt16BE(value, at)
  }

  int32(value: number): void {
    const at = this.#reserve(4)
    this.#buffer.writeInt32BE(value, at)
  }

  int64(value: number): void {
    const at = this.#reserve(8)
    this.#buffer.writeInt32BE(Math.floor(value / twoTo32), at)
    this.#buffer.writeUInt32BE(value - Math.floor(value / twoTo32) * twoTo32, at + 4)
  }

  float64(value: number): void {
    const at = this.#reserve(8)
    this.#buffer.writeDoubleBE(value, at)
  }

  uvarint(value: number): void {
    let rest = value
    while (rest >= 0x80) {
      this.#byte((rest % 0x80) | 0x80)
      rest = Math.floor(rest / 0x80)
    }
    this.#byte(rest)
  }

  varint(value: number): void {
    this.uvarint(value < 0 ? -value * 2 - 1 : value * 2)
  }

  uuid(value: string): void {
    this.raw(Buffer.from(value.replaceAll('-', ''), 'hex'))
  }

  string(value: string): void {
    const length = Buffer.byteLength(value)
    if (this.flexible) this.uvarint(length + 1)
    else this.int16(length)
    const at = this.#reserve(length)
    this.#buffer.write(value, at, 'utf8')
  }

  nullableString(value: string | null): void {
    if (value !== null) this.string(value)
    else if (this.flexible) this.uvarint(0)
    else this.int16(-1)
  }

  bytes(value: Buffer): void {
    this.#length(value.length)
    this.raw(value)
  }

  nullableBytes(value: Buffer | null): void {
    if (value === null) this.#length(-1)
    else this.bytes(value)
  }

  /** Copies the bytes, without a length before them. */
  raw(value: Buffer): void {
    const at = this.#reserve(value.length)
    value.copy(this.#buffer, at)
  }

  /** Record batches as one field of bytes, by reference: they must not change until the response is on its way. */
  records(batches: readonly Buffer[]): void {
    let total = 0
    for (const batch of batches) total += batch.length
    this.#length(total)
    if (total === 0) return
    this.#cut()
    for (const batch of batches) this.#pieces.push(batch)
    this.#pieceBytes += total
  }

  array<T>(elements: readonly T[], element: (value: T) => void): void {
    this.#length(elements.length)
    for (const value of elements) element(value)
  }

  /** As `array`, in steps of a bounded size. */
  *arrayInTurns<T>(elements: readonly T[], element: (value: T) => void): Generator<void, void> {
    this.#length(elements.length)
    let begun = this.length
    for (const value of elements) {
      element(value)
      if (this.length - begun < bytesPerTurn) continue
      begun = this.length
      yield
    }
  }

  nullableArray<T>(elements: readonly T[] | null, element: (value: T) => void): void {
    if (elements === null) this.#length(-1)
    else this.array(elements, element)
  }

  /** Ends a structure: no tagged fields. Writes nothing in the older encoding. */
  tags(): void {
    if (this.flexible) this.#byte(0)
  }

  /** The pieces of what was written, in order. The writer is used up. */
  take(): Buffer[] {
    this.#cut()
    return this.#pieces
  }

  /** Everything in one buffer, for tests and small messages. The writer is used up. */
  toBuffer(): Buffer {
    const pieces = this.take()
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
  }

  #length(length: number): void {
    if (this.flexible) this.uvarint(length + 1)
    else this.int32(length)
  }

  #byte(value: number): void {
    const at = this.#reserve(1)
    this.#buffer[at] = value
  }

  #cut(): void {
    if (this.#position === this.#start) return
    this.#pieces.push(this.#buffer.subarray(this.#start, this.#position))
    this.#pieceBytes += this.#position - this.#start
    this.#copied += this.#position - this.#start
    this.#start = this.#position
  }

  #reserve(length: number): number {
    const at = this.#position
    if (at + length > this.#buffer.length) return this.#grow(length)
    this.#position = at + length
    return at
  }

  #grow(length: number): number {
    // What was cut into a piece stays where it is; only the rest moves.
    const pending = this.#buffer.subarray(this.#start, this.#position)
    const needed = pending.length + length
    const room = this.#maxBytes - this.#copied
    if (needed > room) throw new ResponseTooLargeError(`more than ${this.#maxBytes} bytes`)
    const larger = Buffer.allocUnsafe(
      Math.min(Math.max(this.#buffer.length * 2, needed + initialBytes), room),
    )
    pending.copy(larger)
    this.#buffer = larger
    this.#start = 0
    this.#position = needed
    return pending.length
  }
}
