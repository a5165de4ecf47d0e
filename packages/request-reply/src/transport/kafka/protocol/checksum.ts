/**
 * CRC-32C as record batches have it (Castagnoli's polynomial, reflected: RFC 3720, appendix B.4).
 *
 * In WebAssembly, whose loops over bytes are several times as fast as JavaScript's; the module is made when this file is
 * imported, in about a millisecond.
 */
import { checksumModule, DATA_AT, FAR_AT, LANES, memoryPages, NEAR_AT, TABLE } from './checksum-module.ts'

const POLYNOMIAL = 0x82f63b78
/** Bytes of the module's memory for what is to be checked: longer pieces go through it in parts. */
const ROOM = memoryPages * 65_536 - DATA_AT

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer }
  readonly crc: (start: number, end: number, before: number) => number
}

/** As far as it is needed here: Node has it, its types leave it to those of browsers. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: unknown }
}

const { memory, crc } = instantiate()
const room = new Uint8Array(memory.buffer)

export function checksum(bytes: Buffer): number {
  let value = -1
  for (let at = 0; at < bytes.length; at += ROOM) {
    const part = bytes.length <= ROOM ? bytes : bytes.subarray(at, at + ROOM)
    room.set(part, DATA_AT)
    value = crc(DATA_AT, DATA_AT + part.length, value)
  }
  return ~value >>> 0
}

function instantiate(): Exports {
  const made = new WebAssembly.Instance(new WebAssembly.Module(checksumModule())).exports as Exports
  const words = new Int32Array(made.memory.buffer)
  // What a byte makes of the checksum when so many zeros follow it: `distance` 0 is the usual table.
  const usual = Int32Array.from({ length: 256 }, (_, byte) => {
    let value = byte
    for (let bit = 0; bit < 8; bit++) value = (value & 1) === 0 ? value >>> 1 : (value >>> 1) ^ POLYNOMIAL
    return value
  })
  let table = usual
  for (let distance = 0; distance < LANES * 8; distance++) {
    if (distance < 8) words.set(table, (NEAR_AT + (7 - distance) * TABLE) / 4)
    const far = distance - (LANES - 1) * 8
    if (far >= 0) words.set(table, (FAR_AT + (7 - far) * TABLE) / 4)
    table = table.map((value) => (value >>> 8) ^ usual[value & 0xff]!)
  }
  return made
}
