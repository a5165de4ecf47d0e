/**
 * Notices that this process was held up (SIGSTOP, a suspended machine, a handler that computes): the clock went on, and
 * nothing else here did. The group may have given its partitions away meanwhile.
 *
 *   sure ──the clock went on for long──▶ in doubt ──an answer to a question asked since then──▶ sure
 */
export class Stalls {
  readonly #limit: number
  #lookedAt = performance.now()
  #since: number | undefined
  #heldUp = 0

  /** @param limit milliseconds between two looks from which on the process was held up */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Whether it is not known yet what the group did meanwhile. */
  get doubtful(): boolean {
    return this.#since !== undefined
  }

  /** Milliseconds for which the process was held up, while in doubt; else 0. */
  get heldUp(): number {
    return this.#heldUp
  }

  /** A look at the clock; true when it shows that the process was held up until now. */
  look(now: number): boolean {
    const passed = now - this.#lookedAt
    this.#lookedAt = now
    if (passed < this.#limit) return false
    this.#since = now
    this.#heldUp = Math.max(this.#heldUp, Math.round(passed))
    return true
  }

  /**
   * The coordinator has answered that it knows us. The race that `asked` decides: a
   * heartbeat is answered, the process is stopped before it reads that, the session ends and another member takes over,
   * the process goes on, sees by the clock that it was stopped, and reads the old answer: it says nothing of now.
   */
  answered(asked: number): void {
    if (this.#since !== undefined && asked >= this.#since) this.over()
  }

  /** It is known what the group did. */
  over(): void {
    this.#since = undefined
    this.#heldUp = 0
  }
}
