/**
 * A reply as it travels through Redis: value and headers of the record that goes to Kafka, byte for byte.
 *
 *     version      1 byte, 1
 *     value        int32 length, −1 for null; bytes
 *     headers      uint16 count; of each: uint16 length and bytes of the name, int32 length (−1: null) and bytes
 *
 * Big-endian. Whoever can write to this Redis can write anything here: it is read strictly.
 */
import type { RawHeader } from '@milena/request-reply'

const version = 1

export interface RelayedReply {
  readonly value: Buffer | null
  readonly headers: readonly RawHeader[]
}

export function encodeReply({ value, headers }: RelayedReply): Buffer {
  let size = 1 + 4 + (value?.length ?? 0) + 2
  for (const [name, bytes] of headers) size += 2 + name.length + 4 + (bytes?.length ?? 0)
  const message = Buffer.allocUnsafe(size)
  let at = message.writeUInt8(version)
  at = putBytes(message, at, value)
  at = message.writeUInt16BE(headers.length, at)
  for (const [name, bytes] of headers) {
    at = message.writeUInt16BE(name.length, at)
    at += name.copy(message, at)
    at = putBytes(message, at, bytes)
  }
  return message
}

function putBytes(message: Buffer, at: number, bytes: Buffer | null): number {
  const start = message.writeInt32BE(bytes?.length ?? -1, at)
  return start + (bytes?.copy(message, start) ?? 0)
}

/** @throws RangeError that says what is wrong with it */
export function decodeReply(message: Buffer): RelayedReply {
  const reader = new Reader(message)
  const found = reader.uint8()
  if (found !== version) throw new RangeError(`it has version ${found}, not ${version}`)
  const value = reader.bytes()
  const headers: RawHeader[] = []
  for (let left = reader.uint16(); left > 0; left--)
    headers.push([reader.take(reader.uint16()), reader.bytes()])
  reader.end()
  return { value, headers }
}

class Reader {
  readonly #message: Buffer
  #at = 0

  constructor(message: Buffer) {
    this.#message = message
  }

  uint8(): number {
    return this.take(1).readUInt8()
  }

  uint16(): number {
    return this.take(2).readUInt16BE()
  }

  bytes(): Buffer | null {
    const length = this.take(4).readInt32BE()
    if (length < -1) throw new RangeError(`it has a length of ${length}`)
    return length === -1 ? null : this.take(length)
  }

  take(length: number): Buffer {
    const end = this.#at + length
    if (end > this.#message.length)
      throw new RangeError(`it ends after ${this.#message.length} bytes, and ${end} are needed`)
    const taken = this.#message.subarray(this.#at, end)
    this.#at = end
    return taken
  }

  end(): void {
    const left = this.#message.length - this.#at
    if (left > 0) throw new RangeError(`${left} bytes are left over`)
  }
}
