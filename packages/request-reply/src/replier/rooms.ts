import { InHand, type InHandOptions } from './in-hand.ts'
import type { PartitionWork } from './partition-work.ts'

/**
 * What is in hand: of requests as they come, and, within bounds of its own, of retry topics, whose records wait. So what
 * waits takes no room from what need not, and as much again is in hand at the most.
 */
export class Rooms {
  readonly #requests: InHand
  readonly #retries: InHand

  constructor(options: InHandOptions) {
    this.#requests = new InHand(options)
    this.#retries = new InHand(options)
  }

  get records(): number {
    return this.#requests.records + this.#retries.records
  }

  get bytes(): number {
    return this.#requests.bytes + this.#retries.bytes
  }

  get paused(): number {
    return this.#requests.paused + this.#retries.paused
  }

  /** The one in which a partition's records count. */
  of(work: PartitionWork): InHand {
    return work.delay === 0 ? this.#requests : this.#retries
  }

  /** As `InHand.setAside`; records of retry topics are not told apart there, and they are few that are being answered. */
  setAside(records: number): void {
    this.#requests.setAside(records)
  }
}
