/** What a loop waits for between its rounds: to be woken, or a time. */
import type { Clock } from '@milena/request-reply'

export class Wake {
  readonly #clock: Clock
  #woken = false
  #resolve: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Ends the wait, or the next one. */
  wake(): void {
    this.#woken = true
    this.#resolve?.()
  }

  /** Resolves when it was woken since the last wait, at the latest after `timeout` milliseconds. */
  async wait(timeout: number): Promise<void> {
    if (!this.#woken) {
      await new Promise<void>((resolve) => {
        const timer = this.#clock.schedule(timeout, resolve)
        this.#resolve = () => {
          timer.cancel()
          resolve()
        }
      })
    }
    this.#resolve = undefined
    this.#woken = false
  }
}
