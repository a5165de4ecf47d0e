/** Somewhere that bytes can be taken from, and are given back to. */
export interface Bytes {
  /** Takes `bytes`, or nothing and answers false when they are not there. A negative number gives back. */
  take(bytes: number): boolean
  give(bytes: number): void
}

/** Counts the bytes that all groups keep together, so that no client can make the broker keep more. */
export class Budget implements Bytes {
  readonly #limit: number
  readonly #makeRoom: () => boolean
  #used = 0

  /** @param makeRoom - asked when the limit is reached; true if it may have given some back */
  constructor(limit: number, makeRoom: () => boolean = () => false) {
    this.#limit = limit
    this.#makeRoom = makeRoom
  }

  get used(): number {
    return this.#used
  }

  take(bytes: number): boolean {
    if (bytes > 0) while (this.#used > this.#limit - bytes) if (!this.#makeRoom()) return false
    this.#used += bytes
    return true
  }

  give(bytes: number): void {
    this.#used -= bytes
  }
}

/** What one group may take of the budget, so that none takes all of it. */
export class BudgetShare implements Bytes {
  readonly #all: Bytes
  readonly #limit: number
  #used = 0

  constructor(all: Bytes, limit: number) {
    this.#all = all
    this.#limit = limit
  }

  take(bytes: number): boolean {
    if (bytes > 0 && this.#used + bytes > this.#limit) return false
    if (!this.#all.take(bytes)) return false
    this.#used += bytes
    return true
  }

  give(bytes: number): void {
    this.#used -= bytes
    this.#all.give(bytes)
  }
}
