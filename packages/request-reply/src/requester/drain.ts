import { boundedDelay, type Clock } from '../clock.ts'

/** Waiting, within a bound, until nothing is left of something. */
export class Drain {
  readonly #clock: Clock
  #onEmpty: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** To be called when nothing is left. */
  empty(): void {
    this.#onEmpty?.()
  }

  /** Resolves at the next `empty()`, at the latest after `timeout` ms, if that is finite; at once when it is not above 0. */
  wait(timeout: number): Promise<void> {
    if (!(timeout > 0)) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = timeout === Infinity ? undefined : this.#clock.schedule(boundedDelay(timeout), resolve)
      this.#onEmpty = () => {
        timer?.cancel()
        resolve()
      }
    })
  }
}
