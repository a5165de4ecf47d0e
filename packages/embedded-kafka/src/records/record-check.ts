import { errorCodes } from '../wire/error-codes.ts'
import { ProtocolError } from '../wire/protocol-error.ts'

/** What the records of a batch have in common. Timestamps are relative to the batch's base, in ms. */
export interface CheckedRecords {
  readonly leastTimestampDelta: number
  readonly greatestTimestampDelta: number
  /** Whether every record has a key, as compacted topics want it. */
  readonly allHaveKeys: boolean
}

/**
 * Walks through the records of a batch, unpacked, and holds each to its form (Kafka protocol, "Record"):
 *
 *     length | attributes 1 | timestampDelta | offsetDelta | keyLength key | valueLength value | headerCount headers
 *
 * There are `count` of them, numbered from 0, each as long as it says, and nothing follows. A record that a consumer
 * cannot read would stop its partition for good.
 *
 * @throws ProtocolError INVALID_RECORD that names the record
 */
export function checkRecords(records: Buffer, count: number): CheckedRecords {
  const walk = new Walk(records)
  let leastTimestampDelta = Infinity
  let greatestTimestampDelta = -Infinity
  let allHaveKeys = true
  for (let index = 0; index < count; index += 1) {
    walk.begin(index)
    const timestampDelta = walk.varlong()
    if (timestampDelta < leastTimestampDelta) leastTimestampDelta = timestampDelta
    if (timestampDelta > greatestTimestampDelta) greatestTimestampDelta = timestampDelta
    const offsetDelta = walk.varint()
    if (offsetDelta !== index) walk.fail(`has offset delta ${offsetDelta}`)
    if (!walk.skip('key')) allHaveKeys = false
    walk.skip('value')
    const headers = walk.varint()
    if (headers < 0) walk.fail(`claims ${headers} headers`)
    for (let header = 0; header < headers; header += 1) {
      if (!walk.skip('header name')) walk.fail('has a header without a name')
      walk.skip('header value')
    }
    walk.endRecord()
  }
  walk.end(count)
  return { leastTimestampDelta, greatestTimestampDelta, allHaveKeys }
}

/** A place within the records, and where the one at hand ends. Runs for each record of every produce request. */
class Walk {
  readonly #bytes: Buffer
  #at = 0
  #index = 0
  #recordEnd: number

  constructor(bytes: Buffer) {
    this.#bytes = bytes
    this.#recordEnd = bytes.length
  }

  /** Reads the record's length and attributes. */
  begin(index: number): void {
    this.#index = index
    this.#recordEnd = this.#bytes.length
    const length = this.varint()
    if (length < 1 || length > this.#bytes.length - this.#at) {
      this.fail(`claims ${length} bytes, ${this.#bytes.length - this.#at} are left`)
    }
    this.#recordEnd = this.#at + length
    this.#at += 1
  }

  /** A zigzag varint of at most 32 bits. */
  varint(): number {
    let zigzag = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#next()
      zigzag |= (byte & 0x7f) << shift
      if (byte < 0x80) return (zigzag >>> 1) ^ -(zigzag & 1)
    }
    return this.fail('has a number of more than 32 bits')
  }

  /** A zigzag varint of at most 64 bits, rounded beyond 2^53. */
  varlong(): number {
    let zigzag = 0
    let scale = 1
    for (let read = 0; read < 10; read += 1) {
      const byte = this.#next()
      zigzag += (byte & 0x7f) * scale
      if (byte < 0x80) return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2
      scale *= 128
    }
    return this.fail('has a number of more than 64 bits')
  }

  /** Steps over bytes with their length before them; false if they are null. */
  skip(what: string): boolean {
    const length = this.varint()
    if (length === -1) return false
    if (length < 0 || length > this.#recordEnd - this.#at) {
      this.fail(`has a ${what} of ${length} bytes, ${this.#recordEnd - this.#at} are left`)
    }
    this.#at += length
    return true
  }

  endRecord(): void {
    if (this.#at !== this.#recordEnd) this.fail(`has ${this.#recordEnd - this.#at} bytes after its headers`)
  }

  end(count: number): void {
    const left = this.#bytes.length - this.#at
    if (left > 0) {
      throw new ProtocolError(
        errorCodes.INVALID_RECORD,
        `${left} bytes after the ${count} records that it claims`,
      )
    }
  }

  fail(problem: string): never {
    throw new ProtocolError(errorCodes.INVALID_RECORD, `record ${this.#index} of the batch ${problem}`)
  }

  #next(): number {
    if (this.#at >= this.#recordEnd) this.fail('is cut off')
    const byte = this.#bytes[this.#at]!
    this.#at += 1
    return byte
  }
}
