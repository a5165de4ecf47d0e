/** Pauses between tries of the same: each longer than the last one, up to a bound, and never the same for two who wait. */
import { setTimeout as sleep } from 'node:timers/promises'

/** A pause is this part of its full length at least. */
const LEAST = 0.5

export interface PauseOptions {
  /** Milliseconds, of the first pause and of the longest. */
  readonly first: number
  readonly longest: number
}

export class Pauses {
  readonly #options: PauseOptions
  #next: number

  constructor(options: PauseOptions) {
    this.#options = options
    this.#next = options.first
  }

  /** How many milliseconds to wait now. */
  next(): number {
    const full = this.#next
    this.#next = Math.min(2 * full, this.#options.longest)
    return full * (LEAST + (1 - LEAST) * Math.random())
  }

  /** Something has gone on: the next pause is short again. */
  reset(): void {
    this.#next = this.#options.first
  }

  /** Waits, or until the signal fires. */
  async wait(signal: AbortSignal | undefined): Promise<void> {
    await sleep(this.next(), undefined, signal === undefined ? {} : { signal }).catch(() => undefined)
  }
}
