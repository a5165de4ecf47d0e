/** When a member has something to do next: at the next heartbeat, at once, or after a pause. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Pauses, type PauseOptions } from '../waiting/pauses.ts'

/** Milliseconds between two tries to get a place, from the second that failed on. */
const SETBACKS: PauseOptions = { first: 50, longest: 500 }

export class Pace {
  readonly #signal: AbortSignal
  readonly #setbacks = new Pauses(SETBACKS)
  #isSetBack = false
  #urgent = false
  #kick: (() => void) | undefined

  /** @param signal ends every pause */
  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  /** Something is to be done before the next heartbeat is due. */
  wake(): void {
    this.#urgent = true
    this.#kick?.()
  }

  /** Resolves after so many milliseconds, or when something is to be done. */
  async wait(milliseconds: number): Promise<void> {
    if (!this.#urgent) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#kick = resolve
      const timer = setTimeout(resolve, milliseconds)
      await promise
      clearTimeout(timer)
      this.#kick = undefined
    }
    this.#urgent = false
  }

  /** Resolves after so many milliseconds. */
  async rest(milliseconds: number): Promise<void> {
    await sleep(milliseconds, undefined, { signal: this.#signal }).catch(() => undefined)
  }

  /** There is no place yet, or none any more. Resolves when it is to be asked for again: at once the first time. */
  async setBack(): Promise<void> {
    if (this.#isSetBack) await this.#setbacks.wait(this.#signal)
    this.#isSetBack = true
  }

  /** There is a place. */
  settled(): void {
    this.#isSetBack = false
    this.#setbacks.reset()
  }
}
