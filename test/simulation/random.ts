/**
 * Chance that can be repeated: xoshiro128** (Blackman and Vigna, public domain), seeded from a text.
 */
export class Random {
  readonly #seed: string
  readonly #state = new Uint32Array(4)

  constructor(seed: string) {
    this.#seed = seed
    let hash = 0x811c9dc5
    for (let i = 0; i < seed.length; i++) hash = Math.imul(hash ^ seed.charCodeAt(i), 0x01000193)
    // SplitMix32 spreads the one word over the four of the state.
    for (let i = 0; i < 4; i++) {
      hash = (hash + 0x9e3779b9) | 0
      let word = Math.imul(hash ^ (hash >>> 16), 0x21f0aaad)
      word = Math.imul(word ^ (word >>> 15), 0x735a2d97)
      this.#state[i] = word ^ (word >>> 15)
    }
  }

  /** A source of its own for one purpose: what others draw does not shift what this one gives. */
  for(purpose: string): Random {
    return new Random(`${this.#seed}/${purpose}`)
  }

  /** A whole number of 32 bits. */
  word(): number {
    const s = this.#state
    const result = Math.imul(rotate(Math.imul(s[1]!, 5), 7), 9) >>> 0
    const shifted = s[1]! << 9
    s[2]! ^= s[0]!
    s[3]! ^= s[1]!
    s[1]! ^= s[2]!
    s[0]! ^= s[3]!
    s[2]! ^= shifted
    s[3] = rotate(s[3]!, 11)
    return result
  }

  /** 0 ≤ x < 1 */
  fraction(): number {
    return this.word() / 2 ** 32
  }

  /** A whole number, `from` ≤ x < `to`. */
  between(from: number, to: number): number {
    return from + Math.floor(this.fraction() * (to - from))
  }

  chance(probability: number): boolean {
    return this.fraction() < probability
  }

  pick<T>(from: readonly T[]): T {
    return from[this.between(0, from.length)]!
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length)
    for (let i = 0; i < length; i++) bytes[i] = this.word() >>> 24
    return bytes
  }
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits))
}
