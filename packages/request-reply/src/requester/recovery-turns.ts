/** Has things done in the order in which they came, a few at once, and up to a handful with one call. */

/** How many calls run at once, and how many things each of them gets at most. */
const atOnce = 8
const together = 16

export class Turns<Item> {
  readonly #run: (items: readonly Item[]) => Promise<void>
  #queue: Item[] = []
  /** The first that is still queued. */
  #first = 0
  #running = 0
  /** Things that running calls were given. */
  #inHand = 0
  #stopped = false
  readonly #idle: (() => void)[] = []

  /** @param run never rejects */
  constructor(run: (items: readonly Item[]) => Promise<void>) {
    this.#run = run
  }

  /** Queued, or being done. */
  get size(): number {
    return this.#queue.length - this.#first + this.#inHand
  }

  get running(): number {
    return this.#running
  }

  add(item: Item): void {
    if (this.#stopped) return
    this.#queue.push(item)
    if (this.#running < atOnce) void this.#work()
  }

  /** What is queued is not done. */
  stop(): void {
    this.#stopped = true
    this.#queue = []
    this.#first = 0
  }

  /** Resolves when nothing runs. */
  idle(): Promise<void> {
    return this.#running === 0
      ? Promise.resolve()
      : new Promise((resolve) => {
          this.#idle.push(resolve)
        })
  }

  async #work(): Promise<void> {
    this.#running++
    // What comes in one go is done in one go.
    await Promise.resolve()
    while (this.#queue.length > this.#first) {
      const items = this.#take()
      this.#inHand += items.length
      await this.#run(items)
      this.#inHand -= items.length
    }
    this.#running--
    if (this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve()
  }

  #take(): readonly Item[] {
    const items = this.#queue.slice(this.#first, this.#first + together)
    this.#first += items.length
    if (this.#first === this.#queue.length || (this.#first > 1_024 && this.#first * 2 > this.#queue.length)) {
      this.#queue = this.#queue.slice(this.#first)
      this.#first = 0
    }
    return items
  }
}
