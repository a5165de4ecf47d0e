/** Where the items of `requestEach` come from: one after the other, and closed unless it has come to its end. */
export class Source {
  readonly #open: () => Iterator<unknown> | AsyncIterator<unknown>
  #iterator: Iterator<unknown> | AsyncIterator<unknown> | undefined
  #waiting = false

  constructor(open: () => Iterator<unknown> | AsyncIterator<unknown>) {
    this.#open = open
  }

  /** @throws what the source throws; then there is nothing to close */
  next(): IteratorResult<unknown> | Promise<IteratorResult<unknown>> {
    this.#iterator ??= this.#open()
    try {
      const result = this.#iterator.next()
      return isThenable(result) ? this.#later(result) : this.#looked(result)
    } catch (error) {
      this.#iterator = undefined
      throw error
    }
  }

  /** Does not wait for one that is itself waiting for its next item, which may never come. */
  async close(): Promise<void> {
    const iterator = this.#iterator
    this.#iterator = undefined
    const closing = Promise.resolve(iterator?.return?.())
    if (this.#waiting) closing.catch(() => undefined)
    else await closing
  }

  async #later(coming: PromiseLike<IteratorResult<unknown>>): Promise<IteratorResult<unknown>> {
    this.#waiting = true
    try {
      return this.#looked(await coming)
    } catch (error) {
      this.#iterator = undefined
      throw error
    } finally {
      this.#waiting = false
    }
  }

  #looked(result: IteratorResult<unknown>): IteratorResult<unknown> {
    if (result.done === true) this.#iterator = undefined
    return result
  }
}

function isThenable<Value>(value: Value | PromiseLike<Value>): value is PromiseLike<Value> {
  return typeof (value as Partial<PromiseLike<Value>>).then === 'function'
}
