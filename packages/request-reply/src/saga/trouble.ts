import type { Clock } from '../clock.ts'
import type { Warnings } from '../warnings.ts'
import { wordsOf } from '../words.ts'
import type { StoreTrouble } from './claimed.ts'
import type { SagaHealth } from './health.ts'

/** Whether the store can be used: a state, and a warning when it begins. */
export class Trouble implements StoreTrouble {
  readonly #clock: Clock
  readonly #warnings: Warnings
  readonly #closed: AbortSignal
  #now: SagaHealth['trouble']

  /** @param closed from then on nothing is told */
  constructor(clock: Clock, warnings: Warnings, closed: AbortSignal) {
    this.#clock = clock
    this.#warnings = warnings
    this.#closed = closed
  }

  get now(): SagaHealth['trouble'] {
    return this.#now
  }

  began(thrown: unknown): void {
    if (this.#closed.aborted || this.#now !== undefined) return
    this.#now = { since: this.#clock.now(), message: wordsOf(thrown) }
    this.#warnings.tell('the saga store cannot be used; it is tried again', {}, thrown)
  }

  ended(): void {
    this.#now = undefined
  }
}
