/** A batch that the broker finds too large is halved until the record that is to blame stands alone. */
export class Halving {
  /** How many records at the head of the queue were together in a batch that was too large. */
  #suspects = 0

  /** Most records in the next batch. */
  get limit(): number {
    return this.#suspects === 0 ? Infinity : Math.ceil(this.#suspects / 2)
  }

  /** So many records together were too large. */
  tooLarge(count: number): void {
    this.#suspects = count
  }

  /** So many from the head have gone; the others of them are suspects still. */
  gone(count: number): void {
    this.#suspects = Math.max(0, this.#suspects - count)
  }

  /** It is known which one it was. */
  found(): void {
    this.#suspects = 0
  }
}
