import type { Clock, ScheduledTimer } from '../clock.ts'

/** Does something again and again: one round at a time, the next one after a pause, or sooner when it is asked to. */
export class Rounds {
  readonly #clock: Clock
  readonly #interval: number
  readonly #round: () => Promise<void>
  #timer: ScheduledTimer | undefined
  #timerAt = 0
  #running: Promise<void> | undefined
  /** When the next one is wanted, while one is running. */
  #wantedAt: number | undefined
  #stopped = true

  /** @param round never rejects */
  constructor(clock: Clock, interval: number, round: () => Promise<void>) {
    this.#clock = clock
    this.#interval = interval
    this.#round = round
  }

  /** The first round, and from now on the others. */
  start(): Promise<void> {
    this.#stopped = false
    this.#run()
    return this.#running!
  }

  /** A round not later than in so many milliseconds. */
  within(milliseconds: number): void {
    if (this.#stopped) return
    const at = this.#clock.monotonic() + milliseconds
    if (this.#running !== undefined) this.#wantedAt = Math.min(this.#wantedAt ?? at, at)
    else if (this.#timer === undefined || at < this.#timerAt) this.#schedule(at)
  }

  /** Begins no more, and waits for the one that is running. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    this.#timer = undefined
    await this.#running
  }

  #schedule(at: number): void {
    this.#timer?.cancel()
    this.#timerAt = at
    this.#timer = this.#clock.schedule(Math.max(0, at - this.#clock.monotonic()), () => {
      this.#timer = undefined
      this.#run()
    })
  }

  #run(): void {
    this.#wantedAt = undefined
    this.#running = this.#round().finally(() => {
      this.#running = undefined
      if (this.#stopped) return
      const usual = this.#clock.monotonic() + this.#interval
      this.#schedule(Math.min(this.#wantedAt ?? usual, usual))
    })
  }
}
