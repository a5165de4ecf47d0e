/** Producer ids and epochs: what tells the brokers that a repeated batch is the same one (KIP-98, KIP-360). */

/** Epochs are 15 bits wide; the last one is Kafka's own. */
const LAST_EPOCH = 32_766

export interface Producer {
  readonly id: bigint
  /** The epoch in which a partition that has none yet begins. */
  readonly epoch: number
}

/**
 * The producer id in use. Each partition counts epochs and sequences by itself, since brokers check them per partition.
 */
export class Producers {
  #current: Producer | undefined

  /** `undefined` until the brokers have given one, and when the last one is used up: ask and `adopt`. */
  get current(): Producer | undefined {
    return this.#current
  }

  adopt(id: bigint): void {
    this.#current = { id, epoch: 0 }
  }

  /** The epoch after this one; `undefined` when the producer id has none left. */
  nextEpoch(epoch: number): number | undefined {
    return epoch < LAST_EPOCH ? epoch + 1 : undefined
  }

  /** A partition's state was forgotten: whoever begins anew there must be in a later epoch. */
  retire(id: bigint, epoch: number): void {
    if (this.#current?.id !== id || this.#current.epoch > epoch) return
    const next = this.nextEpoch(epoch)
    this.#current = next === undefined ? undefined : { id, epoch: next }
  }

  /** No partition begins with this id any more. */
  abandon(id: bigint): void {
    if (this.#current?.id === id) this.#current = undefined
  }
}
