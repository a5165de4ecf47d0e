/** Where the records of a batch are read from, number by number. */

/** Reads a batch's records: zigzag varints (Protocol Buffers' sint) and bytes with their length before them. */
export class RecordCursor {
  at = 0
  readonly #data: Buffer

  constructor(data: Buffer) {
    this.#data = data
  }

  varint(): number {
    const data = this.#data
    let raw = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = data[this.at++]
      if (byte === undefined) throw new Error('it ends within a number')
      raw |= (byte & 0x7f) << shift
      if (byte < 0x80) return (raw >>> 1) ^ -(raw & 1)
    }
    throw new Error('a number is too long')
  }

  varlong(): number {
    const data = this.#data
    let raw = 0
    let scale = 1
    for (let read = 0; read < 10; read++) {
      const byte = data[this.at++]
      if (byte === undefined) throw new Error('it ends within a number')
      raw += (byte & 0x7f) * scale
      if (byte < 0x80) return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2
      scale *= 128
    }
    throw new Error('a number is too long')
  }

  bytes(): Buffer | null {
    return this.bytesOr(undefined)
  }

  /**
   * As `bytes`, but `guess` itself where that is what stands here. For header names, which a batch's records mostly have
   * in common: comparing a few bytes costs a third of making a Buffer of them, and leaves nothing to collect.
   */
  bytesOr(guess: Buffer | undefined): Buffer | null {
    const length = this.varint()
    if (length === -1) return null
    const data = this.#data
    const start = this.at
    const end = start + length
    if (length < 0 || end > data.length) throw new Error('a length goes beyond the end')
    this.at = end
    if (guess?.length !== length) return data.subarray(start, end)
    for (let i = 0; i < length; i++) if (guess[i] !== data[start + i]) return data.subarray(start, end)
    return guess
  }
}
