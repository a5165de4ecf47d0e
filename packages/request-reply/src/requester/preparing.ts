/**
 * Requests that cannot be sent yet: their topic is being asked about, for the first time, or their schema is
 * asynchronous. They count as pending, and have their timeout and their signal as if they were.
 */
import type { Clock } from '../clock.ts'
import { Drain } from './drain.ts'

interface Bounds {
  /** What the request takes in memory. */
  readonly bytes: number
  readonly timeout: number
  readonly signal: AbortSignal | undefined
  readonly onTimeout: () => Error
  readonly onAbort: (signal: AbortSignal) => Error
}

export class Preparing {
  readonly #clock: Clock
  readonly #drain: Drain
  readonly #waiting = new Set<(error: Error) => void>()
  #bytes = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#drain = new Drain(clock)
  }

  get size(): number {
    return this.#waiting.size
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Settles as `work` does, unless the timeout, the signal or `close` comes first. */
  wait<Value>(work: Promise<Value>, { bytes, timeout, signal, onTimeout, onAbort }: Bounds): Promise<Value> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        timer.cancel()
        signal?.removeEventListener('abort', aborted)
        if (this.#waiting.delete(fail)) this.#bytes -= bytes
        if (this.#waiting.size === 0) this.#drain.empty()
      }
      const fail = (error: unknown): void => {
        end()
        reject(error)
      }
      const aborted = (): void => fail(onAbort(signal!))
      const timer = this.#clock.schedule(timeout, () => fail(onTimeout()))
      this.#waiting.add(fail)
      this.#bytes += bytes
      signal?.addEventListener('abort', aborted, { once: true })
      work.then((value) => {
        end()
        resolve(value)
      }, fail)
    })
  }

  /** Resolves when nothing waits here any more, at the latest after `timeout` ms. */
  drain(timeout: number): Promise<void> {
    return this.#waiting.size === 0 ? Promise.resolve() : this.#drain.wait(timeout)
  }

  close(error: () => Error): void {
    for (const fail of this.#waiting) fail(error())
  }
}
