/**
 * Under which producer id, epoch and sequence number a partition's next batch goes; the rules that this belongs to are
 * in `partition-queue.ts`.
 */
import type { Producers } from './producers.ts'

/** Sequence numbers are 31 bits wide. */
const SEQUENCES = 2 ** 31

/** Of a batch: its first record's sequence number. */
export interface BatchIdentity {
  readonly producerId: bigint
  readonly epoch: number
  readonly sequence: number
}

export class Sequences {
  readonly #producers: Producers
  readonly #first: number
  #producerId: bigint | undefined
  #epoch = 0
  #sequence = 0

  /** @param first where sequence numbers begin in a producer's first epoch */
  constructor(producers: Producers, first: number) {
    this.#producers = producers
    this.#first = first
  }

  /** For a batch of so many records; `undefined` while there is no producer id. */
  next(count: number): BatchIdentity | undefined {
    if (this.#sequence + count > SEQUENCES) this.renew()
    if (this.#producerId === undefined) {
      const producer = this.#producers.current
      if (producer === undefined) return undefined
      this.#producerId = producer.id
      this.#epoch = producer.epoch
      this.#sequence = producer.epoch === 0 ? this.#first : 0
    }
    return { producerId: this.#producerId, epoch: this.#epoch, sequence: this.#sequence }
  }

  /** The log has this batch, of so many records. */
  appended({ sequence }: BatchIdentity, count: number): void {
    this.#sequence = sequence + count
  }

  /** The next epoch, from sequence 0; another producer id when this one has none left. */
  renew(): void {
    const next = this.#producerId === undefined ? undefined : this.#producers.nextEpoch(this.#epoch)
    if (next === undefined) {
      this.replace()
      return
    }
    this.#epoch = next
    this.#sequence = 0
  }

  /** Another producer id. */
  replace(): void {
    if (this.#producerId !== undefined) this.#producers.abandon(this.#producerId)
    this.#producerId = undefined
  }

  /** Whoever begins anew in this partition does so in a later epoch. */
  retire(): void {
    if (this.#producerId !== undefined) this.#producers.retire(this.#producerId, this.#epoch)
  }
}
