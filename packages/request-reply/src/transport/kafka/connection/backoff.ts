/**
 * Brokers that could not be connected to of late: until a moment has passed, a little longer each time, whoever asks
 * gets the last failure again. All pools learn of it by one attempt, and a broker that comes back is not met by all
 * of them at once; nor is a wrong password tried as fast as the line carries it.
 */

const FIRST = 25
const LONGEST = 400

interface Failing {
  readonly error: unknown
  readonly times: number
  /** `performance.now()` */
  readonly until: number
}

export class Backoff {
  readonly #failing = new Map<string, Failing>()

  /** Throws the last failure while it is too early for another attempt. */
  check(address: string): void {
    const failing = this.#failing.get(address)
    if (failing !== undefined && performance.now() < failing.until) throw failing.error
  }

  failed(address: string, error: unknown): void {
    const times = (this.#failing.get(address)?.times ?? 0) + 1
    const pause = Math.min(FIRST * 2 ** Math.min(times - 1, 10), LONGEST)
    const until = performance.now() + pause * (0.75 + Math.random() / 2)
    this.#failing.set(address, { error, times, until })
  }

  worked(address: string): void {
    this.#failing.delete(address)
  }
}
