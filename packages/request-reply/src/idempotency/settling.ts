import { boundedDelay, type Clock, type ScheduledTimer } from '../clock.ts'
import { errorOf } from '../words.ts'

const firstPause = 100
const longestPause = 5_000

/**
 * A step of the store that has to be done, though the store could not be asked at first: it is tried again, whatever becomes
 * of its record meanwhile.
 *
 *     trying ──▶ done (its result) │ failed ── a pause, doubled each time, at most 5 s ──▶ trying
 */
export class Settling<Result> {
  readonly #step: () => Promise<Result>
  readonly #clock: Clock
  readonly #ended: () => void
  #timer: ScheduledTimer | undefined
  #tries = 0
  #closed = false
  result: Result | undefined
  /** Why it failed at last. */
  error: Error | undefined

  /** @param ended called once, when it is done or closed */
  constructor(step: () => Promise<Result>, clock: Clock, ended: () => void) {
    this.#step = step
    this.#clock = clock
    this.#ended = ended
  }

  /** Tries it once; what fails is tried again in the background. */
  async try(): Promise<Result | undefined> {
    try {
      const result = await this.#step()
      if (this.result === undefined) this.#end(result)
    } catch (error) {
      this.error = errorOf(error)
      if (!this.#closed) this.#wait()
    }
    return this.result
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  #wait(): void {
    const pause = Math.min(longestPause, firstPause * 2 ** Math.min(this.#tries++, 10))
    this.#timer = this.#clock.schedule(boundedDelay(pause), () => void this.try())
  }

  #end(result: Result): void {
    this.result = result
    this.close()
    this.#ended()
  }
}
