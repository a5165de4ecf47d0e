import type { Clock, ScheduledTimer } from '../clock.ts'

/** Milliseconds between two looks. */
const period = 1_000

/** Looks, once a second while there is anything to look at, at what takes long: no timer for each request. */
export class Watch {
  readonly #clock: Clock
  readonly #look: () => boolean
  #timer: ScheduledTimer | undefined
  #closed = false

  /** @param look returns whether to look again */
  constructor(clock: Clock, look: () => boolean) {
    this.#clock = clock
    this.#look = look
  }

  /** There is something to look at. */
  wake(): void {
    if (this.#timer !== undefined || this.#closed) return
    this.#timer = this.#clock.schedule(period, () => {
      this.#timer = undefined
      if (this.#look()) this.wake()
    })
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#timer = undefined
  }
}
