import { MalformedError } from '../wire/malformed-error.ts'
import { UnpackedTooLargeError } from './unpacked-too-large-error.ts'

const frameMagic = 0x184d2204
const uncompressedBit = 0x80000000

/**
 * Unpacks an LZ4 frame; `limit` bounds the result. Checksums are passed over: the batch's CRC-32C covers the bytes.
 * Source: lz4's frame and block format descriptions (lz4_Frame_format.md, lz4_Block_format.md).
 */
export function decompressLz4(packed: Buffer, limit: number): Buffer {
  if (packed.length < 7 || packed.readUInt32LE(0) !== frameMagic) throw new MalformedError('lz4: not a frame')
  const flags = packed.readUInt8(4)
  const blockChecksums = (flags & 0x10) !== 0
  // Magic, flags and block size, the content size if it is there, the dictionary id if it is there, header checksum.
  let at = 6 + ((flags & 0x08) === 0 ? 0 : 8) + ((flags & 0x01) === 0 ? 0 : 4) + 1

  const out = new Output(limit)
  for (;;) {
    if (at + 4 > packed.length) throw new MalformedError('lz4: the frame is cut off')
    const word = packed.readUInt32LE(at)
    at += 4
    if (word === 0) break
    const stored = word >= uncompressedBit
    const length = stored ? word - uncompressedBit : word
    if (at + length > packed.length) throw new MalformedError('lz4: a block is cut off')
    const block = packed.subarray(at, at + length)
    if (stored) out.literal(block, 0, length)
    else unpackBlock(block, out)
    at += length + (blockChecksums ? 4 : 0)
  }
  return out.bytes()
}

/** What came out so far. Blocks may refer to earlier ones, so they share it. */
class Output {
  #buffer = Buffer.allocUnsafe(16_384)
  #size = 0
  readonly #limit: number

  constructor(limit: number) {
    this.#limit = limit
  }

  literal(from: Buffer, start: number, end: number): void {
    this.#reserve(end - start)
    from.copy(this.#buffer, this.#size, start, end)
    this.#size += end - start
  }

  copy(distance: number, length: number): void {
    if (distance === 0 || distance > this.#size) throw new MalformedError('lz4: bad copy')
    this.#reserve(length)
    const buffer = this.#buffer
    const size = this.#size
    // Byte by byte: a copy may overlap itself, which repeats a pattern.
    for (let index = 0; index < length; index += 1) buffer[size + index] = buffer[size + index - distance]!
    this.#size += length
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#size)
  }

  #reserve(length: number): void {
    const wanted = this.#size + length
    if (wanted > this.#limit) throw new UnpackedTooLargeError(this.#limit)
    if (wanted <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(wanted, this.#buffer.length * 2))
    this.#buffer.copy(larger, 0, 0, this.#size)
    this.#buffer = larger
  }
}

function unpackBlock(block: Buffer, out: Output): void {
  let at = 0
  const next = (): number => {
    const byte = block[at]
    if (byte === undefined) throw new MalformedError('lz4: a block is cut off')
    at += 1
    return byte
  }
  const lengthFrom = (nibble: number): number => {
    let length = nibble
    if (nibble === 15) {
      let byte = 255
      while (byte === 255) {
        byte = next()
        length += byte
      }
    }
    return length
  }

  while (at < block.length) {
    const token = next()
    const literals = lengthFrom(token >>> 4)
    if (at + literals > block.length) throw new MalformedError('lz4: bad literal')
    out.literal(block, at, at + literals)
    at += literals
    // The last sequence of a block has literals only.
    if (at === block.length) return
    const distance = next() + next() * 256
    out.copy(distance, lengthFrom(token & 15) + 4)
  }
}
