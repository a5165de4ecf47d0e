/**
 * What occurs again in a stretch of bytes, as LZ4 and Snappy write it: bytes as they are, then a copy of what stood
 * `distance` bytes before. Greedy, as the fast modes of both: the last place with the same four bytes is the one.
 */

/** Bytes looked at together: distances, and positions in a table, fit in 16 bits. */
export const BLOCK = 65_536
export const SHORTEST = 4
/** Where nothing occurs again, steps grow by one every so many tries: bytes that do not compress are passed over fast. */
const PATIENCE_BITS = 5
const MOST_TABLE_BITS = 14

/** Places by the hash of the four bytes there; for one batch after the other. */
export class Repetitions {
  readonly #places: Uint16Array
  readonly #shift: number

  /** `size`: bytes in all, at most. */
  constructor(size: number) {
    const bits = Math.min(MOST_TABLE_BITS, Math.max(8, 32 - Math.clz32(Math.min(size, BLOCK))))
    this.#places = new Uint16Array(2 ** bits)
    this.#shift = 32 - bits
  }

  /**
   * Tells what occurs again between `start` and `end`, at most a `BLOCK` of bytes, in turn: the bytes up to `until` are
   * as they are since the last copy, then `length` bytes come from `distance` before. Gives where the last copy ended.
   * No copy begins in the last `noneIn` bytes, or reaches into the last `literals`.
   */
  find(
    bytes: Buffer,
    start: number,
    end: number,
    noneIn: number,
    literals: number,
    found: (from: number, until: number, distance: number, length: number) => void,
  ): number {
    const places = this.#places
    const shift = this.#shift
    const last = end - Math.max(noneIn, SHORTEST)
    const copiesEnd = end - literals
    places.fill(0)
    let done = start
    let at = start + 1
    let tries = 1 << PATIENCE_BITS
    while (at <= last) {
      const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
      const hash = Math.imul(word, 0x9e3779b1) >>> shift
      const place = start + places[hash]!
      places[hash] = at - start
      if (
        bytes[place] !== (word & 255) ||
        bytes[place + 1] !== ((word >>> 8) & 255) ||
        bytes[place + 2] !== ((word >>> 16) & 255) ||
        bytes[place + 3] !== word >>> 24
      ) {
        at += tries++ >> PATIENCE_BITS
        continue
      }
      let until = at + SHORTEST
      for (let other = place + SHORTEST; until < copiesEnd && bytes[until] === bytes[other]; other++) until++
      found(done, at, at - place, until - at)
      done = at = until
      tries = 1 << PATIENCE_BITS
    }
    return done
  }
}
