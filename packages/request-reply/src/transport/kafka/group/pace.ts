/** When a member has something to do next: at the next heartbeat, or at once. */
export class Pace {
  #urgent = false
  #kick: (() => void) | undefined

  /** Something is to be done before the next heartbeat is due. */
  wake(): void {
    this.#urgent = true
    this.#kick?.()
  }

  /** Resolves after so many milliseconds, or when something is to be done. */
  async wait(milliseconds: number): Promise<void> {
    if (!this.#urgent) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#kick = resolve
      const timer = setTimeout(resolve, milliseconds)
      await promise
      clearTimeout(timer)
      this.#kick = undefined
    }
    this.#urgent = false
  }
}
