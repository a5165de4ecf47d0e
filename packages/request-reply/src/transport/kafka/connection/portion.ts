import { NetworkFailure } from './verdicts.ts'

const LEAST = 64 * 1024

/**
 * How many bytes to ask a broker for at once, or to send it: less after it has fallen silent over them, for the line
 * may not carry as many; more again with each answer.
 */
export class Portion {
  readonly #most: number
  #bytes: number

  constructor(most: number) {
    this.#most = most
    this.#bytes = most
  }

  get bytes(): number {
    return this.#bytes
  }

  carried(): void {
    this.#bytes = Math.min(this.#bytes * 2, this.#most)
  }

  failed(why: unknown): void {
    if (why instanceof NetworkFailure && why.silent) this.#bytes = Math.max(Math.ceil(this.#bytes / 4), LEAST)
  }
}
