import type { Clock, ScheduledTimer } from '../src/clock.ts'

/** A clock that stands still until it is advanced. */
export class ManualClock implements Clock {
  #time = 0
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>()
  readonly #settle: () => Promise<void>

  /** @param rest when what a timer has set in motion has come to rest; default: also in the in-memory broker */
  constructor(rest: () => Promise<void> = settle) {
    this.#settle = rest
  }

  now(): number {
    return 1_700_000_000_000 + this.#time
  }

  monotonic(): number {
    return this.#time
  }

  schedule(delay: number, run: () => void): ScheduledTimer {
    const timer = { at: this.#time + delay, run }
    this.#timers.add(timer)
    return { cancel: () => void this.#timers.delete(timer) }
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#timers.size
  }

  /** Time passes in which this process does nothing: what is due fires late, when the clock is advanced next. */
  jump(milliseconds: number): void {
    this.#time += milliseconds
  }

  /** Fires what is due on the way, in order, and lets what it set in motion come to rest before each. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#time + milliseconds
    await this.#settle()
    for (;;) {
      const due = [...this.#timers].filter((timer) => timer.at <= end).toSorted((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.#timers.delete(due)
      this.#time = Math.max(this.#time, due.at)
      due.run()
      await this.#settle()
    }
    this.#time = end
    await this.#settle()
  }
}

/** Lets what is ready run until nothing new can have come of it; the in-memory broker takes a millisecond for each way. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 1))
    await new Promise((resolve) => setImmediate(resolve))
  }
}
