/**
 * The WebAssembly behind `checksum`: `crc(start, end, before)` over its memory.
 *
 * Eight bytes are looked up at once, each in a table of its own ("slicing by eight", Kounavis and Berry 2005). A step has
 * to wait for the one before it; so several steps go side by side, each with a checksum of every third word, and the
 * three are put together at the end ("braided", as zlib does it for CRC-32).
 *
 * Source: WebAssembly Core Specification, chapter 5 (binary format); the names of instructions are those of its text form.
 */

/** Checksums side by side. */
export const LANES = 3
/** Bytes of a table: 256 of 32 bits. */
export const TABLE = 1_024
/** Eight tables for bytes of a word that is followed by the next word. */
export const NEAR_AT = 0
/** Eight tables for bytes of a word that is followed by as many words as there are lanes. */
export const FAR_AT: number = 8 * TABLE
export const DATA_AT: number = 16 * TABLE
export const memoryPages = 2

const WORD = 8
const BLOCK = LANES * WORD

/** Parameters and locals by number: `lane(0)` and what follows are the checksums side by side. */
const [START, END, VALUE, LOW, HIGH] = [0, 1, 2, 3, 4] as const
const lane = (index: number): number => 5 + index
const DATA: number = lane(LANES)

const i32 = { const: 0x41, load: 0x28, load8: 0x2d, ge: 0x4e, le: 0x4c, lt: 0x48, add: 0x6a, sub: 0x6b }
const bits = { and: 0x71, xor: 0x73, shl: 0x74, shrU: 0x76, wrap: 0xa7, extendU: 0xad }
const i64 = { const: 0x42, load: 0x29, xor: 0x85, shrU: 0x88 }
const flow = { block: 0x02, loop: 0x03, if: 0x04, end: 0x0b, br: 0x0c, brIf: 0x0d }
const NOTHING = 0x40
const [I32, I64] = [0x7f, 0x7e] as const

export function checksumModule(): Uint8Array<ArrayBuffer> {
  const locals = vector([
    [...unsigned(2 + LANES), I32],
    [1, I64],
  ])
  const body = [...locals, ...code()]
  const magicAndVersion = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]
  return Uint8Array.from([
    ...magicAndVersion,
    ...section(1, [[0x60, ...vector([[I32], [I32], [I32]]), ...vector([[I32]])]]),
    ...section(3, [[0]]),
    ...section(5, [[0, memoryPages]]),
    ...section(7, [
      [...name('memory'), 2, 0],
      [...name('crc'), 0, 0],
    ]),
    ...section(10, [[...unsigned(body.length), ...body]]),
  ])
}

function code(): number[] {
  const lanes = Array.from({ length: LANES }, (_, index) => index)
  const room = [...get(END), ...get(START), i32.sub]
  const forward = (bytes: number): number[] => [...get(START), ...number(bytes), i32.add]
  return [
    // All blocks but the last: lanes side by side.
    room,
    number(2 * BLOCK),
    i32.ge,
    [flow.if, NOTHING],
    lanes.flatMap((index) => [...(index === 0 ? get(VALUE) : number(0)), ...set(lane(index))]),
    [flow.loop, NOTHING],
    lanes.flatMap((index) => [...word(get(lane(index)), index), ...lookUp(FAR_AT), ...set(lane(index))]),
    forward(BLOCK),
    tee(START),
    get(END),
    number(2 * BLOCK),
    i32.sub,
    i32.le,
    [flow.brIf, 0],
    flow.end,
    // The last one puts them together.
    number(0),
    set(VALUE),
    lanes.flatMap((index) => {
      const both = [...get(VALUE), ...get(lane(index)), bits.xor]
      return [...word(both, index), ...lookUp(NEAR_AT), ...set(VALUE)]
    }),
    forward(BLOCK),
    set(START),
    flow.end,
    // What is left, by words.
    [flow.block, NOTHING, flow.loop, NOTHING],
    room,
    number(WORD),
    i32.lt,
    [flow.brIf, 1],
    word(get(VALUE), 0),
    lookUp(NEAR_AT),
    set(VALUE),
    forward(WORD),
    set(START),
    [flow.br, 0, flow.end, flow.end],
    // And by bytes: the table of a word's last byte is the usual one.
    [flow.block, NOTHING, flow.loop, NOTHING],
    get(START),
    get(END),
    i32.ge,
    [flow.brIf, 1],
    get(START),
    [i32.load8, 0, 0],
    get(VALUE),
    bits.xor,
    tableIndex(0),
    i32.load,
    2,
    unsigned(NEAR_AT + 7 * TABLE),
    get(VALUE),
    number(8),
    [bits.shrU, bits.xor],
    set(VALUE),
    forward(1),
    set(START),
    [flow.br, 0, flow.end, flow.end],
    get(VALUE),
    flow.end,
  ].flat()
}

/** The word at `START`, or as many words behind it, into `DATA`, with a checksum in its first half. */
function word(checksum: readonly number[], words: number): number[] {
  const load = [i64.load, 3, ...unsigned(words * WORD)]
  return [...checksum, bits.extendU, ...get(START), ...load, i64.xor, ...set(DATA)]
}

/** What the word in `DATA` makes of the checksum. */
function lookUp(tables: number): number[] {
  const halves = [...get(DATA), bits.wrap, ...set(LOW)]
  halves.push(...get(DATA), i64.const, ...signed(32), i64.shrU, bits.wrap, ...set(HIGH))
  const bytes = Array.from({ length: WORD }, (_, byte) => {
    const index = [...get(byte < 4 ? LOW : HIGH), ...tableIndex(byte % 4)]
    const found = [...index, i32.load, 2, ...unsigned(tables + byte * TABLE)]
    return byte === 0 ? found : [...found, bits.xor]
  })
  return [...halves, ...bytes.flat()]
}

/** A byte of the number on the stack, times four. */
function tableIndex(byte: number): number[] {
  const shift = byte === 0 ? [...number(2), bits.shl] : [...number(byte * 8 - 2), bits.shrU]
  return [...shift, ...number(0x3fc), bits.and]
}

function get(local: number): number[] {
  return [0x20, ...unsigned(local)]
}

function set(local: number): number[] {
  return [0x21, ...unsigned(local)]
}

function tee(local: number): number[] {
  return [0x22, ...unsigned(local)]
}

function number(value: number): number[] {
  return [i32.const, ...signed(value)]
}

function section(id: number, entries: readonly (readonly number[])[]): number[] {
  const content = vector(entries)
  return [id, ...unsigned(content.length), ...content]
}

function vector(entries: readonly (readonly number[])[]): number[] {
  return [...unsigned(entries.length), ...entries.flat()]
}

function name(text: string): number[] {
  return [...unsigned(text.length), ...Buffer.from(text)]
}

/** LEB128. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)]
}

function signed(value: number): number[] {
  const isLast = value >= -64 && value < 64
  return isLast ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(value >> 7)]
}
