/**
 * Notices that a broker is silent: no byte comes, and none of a request goes out, while an answer is awaited.
 *
 * An answer that takes long to arrive is no silence, nor is a request that a slow line takes in bit by bit. A look is
 * taken a few times within the limit. A process that was held up must not take its own sleep for the broker's: the time
 * for which a look was late does not count, and the last one is taken again after the loop has read what lay in the socket.
 */

const LOOKS = 4

/** What is watched. */
export interface Watched {
  /** Bytes of requests that are yet to go out. */
  queued(): number
  /** Milliseconds that silence may last now; `undefined` while nothing is awaited. */
  limit(): number | undefined
  /** It lasted longer. */
  silent(milliseconds: number): void
}

export class Silence {
  readonly #watched: Watched
  #timer: NodeJS.Timeout | undefined
  #queued = 0
  #pause = 0
  #due = 0
  #stopped = false
  /** When there last was a sign of life, or the waiting began (`performance.now()`). */
  since: number = performance.now()

  constructor(watched: Watched) {
    this.#watched = watched
  }

  /** An answer is awaited from now on. */
  begin(now: number): void {
    this.since = now
    this.#queued = this.#watched.queued()
    this.#arm()
  }

  /** A shorter limit may hold than the one that the next look was set by. */
  hasten(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#arm()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#stopped) return
    const limit = this.#watched.limit()
    if (limit === undefined) return
    this.#pause = Math.ceil(limit / LOOKS)
    this.#due = performance.now() + this.#pause
    this.#timer = setTimeout(() => this.#look(), this.#pause)
    this.#timer.unref()
  }

  #look(): void {
    this.#timer = undefined
    const limit = this.#watched.limit()
    if (limit === undefined || this.#stopped) return
    const queued = this.#watched.queued()
    const now = performance.now()
    const late = now - this.#due
    if (late > this.#pause) this.since = Math.min(this.since + late, now)
    if (queued !== this.#queued) this.since = now
    this.#queued = queued
    if (now - this.since < limit) {
      this.#arm()
      return
    }
    const { since } = this
    setImmediate(() => {
      if (this.#stopped || this.#timer !== undefined) return
      if (this.since === since && this.#watched.limit() !== undefined) this.#watched.silent(now - since)
      else this.#arm()
    })
  }
}
