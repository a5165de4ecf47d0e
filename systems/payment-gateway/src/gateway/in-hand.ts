/** What a gateway has in hand: bounded in all, and for each order, so that nobody takes it all with one. */

/** The gateway cannot take the payment now, and nothing was begun: the caller may try again. */
export class NotNow extends Error {}

/** The database has not said whether the payment is written down: what becomes of it nobody knows yet. */
export class NotKnown extends Error {}

/** Callers of one order at once, at most; fewer where the gateway has few places in all. */
const mostOfOrder = 100

export class InHand {
  readonly #most: number
  readonly #mostOfOrder: number
  #all = 0
  readonly #callers = new Map<string, number>()
  readonly #running = new Map<string, Promise<unknown>>()

  constructor(most: number) {
    this.#most = most
    this.#mostOfOrder = Math.min(mostOfOrder, Math.max(1, Math.floor(most / 4)))
  }

  /** Pieces of work; callers that share one count once. */
  get size(): number {
    return this.#all
  }

  /** Runs this, or waits for the one of the same name that is running. Rejects with a `NotNow` when a bound is reached. */
  async share<Result>(orderId: string, name: string, work: () => Promise<Result>): Promise<Result> {
    const callers = this.#callers.get(orderId) ?? 0
    if (callers >= this.#mostOfOrder) throw new NotNow(`${callers} calls for this order are in hand already`)
    const running = this.#running.get(name)
    if (running === undefined && this.#all >= this.#most) {
      throw new NotNow(`${this.#most} payments are in hand already`)
    }
    this.#callers.set(orderId, callers + 1)
    try {
      return (await (running ?? this.#begin(name, work))) as Result
    } finally {
      const left = this.#callers.get(orderId)! - 1
      if (left === 0) this.#callers.delete(orderId)
      else this.#callers.set(orderId, left)
    }
  }

  async #run<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    this.#all++
    try {
      return await work()
    } finally {
      this.#all--
      this.#running.delete(name)
    }
  }

  #begin<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    const begun = this.#run(name, work)
    this.#running.set(name, begun)
    return begun
  }
}

/** Work of one order after the other: what waits holds no connection to the database. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>()

  async take<Result>(orderId: string, work: () => Promise<Result>): Promise<Result> {
    const before = this.#last.get(orderId)
    const turn = before === undefined ? work() : before.then(work, work)
    this.#last.set(orderId, turn)
    try {
      return await turn
    } finally {
      if (this.#last.get(orderId) === turn) this.#last.delete(orderId)
    }
  }
}
