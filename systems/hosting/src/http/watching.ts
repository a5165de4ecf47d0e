/** Something as it goes on, for whoever watches it: looked at now and then, by a bounded number of watchers. */
import { setTimeout as sleep } from 'node:timers/promises'

/** Who may watch at once, as each looks into the database. */
const most = 100

export interface Watched<Value> {
  /** `undefined`: it is gone. */
  look(): Promise<Value | undefined>
  /** Whether a watcher is told of it, who was told of `before` last. */
  isNews(value: Value, before: Value): boolean
  /** Whether nothing comes after it. */
  isLast(value: Value): boolean
}

export class Watching {
  readonly #interval: number
  readonly #closing = new AbortController()
  #count = 0

  /** @param interval milliseconds between two looks */
  constructor(interval: number) {
    this.#interval = interval
  }

  get isFull(): boolean {
    return this.#count >= most
  }

  /** The value as it is, and again whenever there is news; ends with its last one, or at `close`. */
  async *watch<Value>(watched: Watched<Value>): AsyncGenerator<Value> {
    const { signal } = this.#closing
    this.#count++
    try {
      let last: Value | undefined
      while (!signal.aborted) {
        const value = await watched.look()
        if (value === undefined) return
        if (last === undefined || watched.isNews(value, last)) yield value
        if (watched.isLast(value)) return
        last = value
        await sleep(this.#interval, undefined, { signal }).catch(() => {})
      }
    } finally {
      this.#count--
    }
  }

  /** Ends all that is watched, so that no watcher holds up the end of the process. */
  close(): void {
    this.#closing.abort()
  }
}
