/** A gift as it goes on, for whoever watches it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Gifts } from './gifts.ts'
import type { Gift } from './schemas.ts'

/** Who may watch at once; each looks into the database now and then. */
const most = 100
/** Milliseconds between two looks: a reply may be written down by any process of this service. */
const interval = 200

export class Watching {
  readonly #gifts: Gifts
  readonly #closing = new AbortController()
  #count = 0

  constructor(gifts: Gifts) {
    this.#gifts = gifts
  }

  get isFull(): boolean {
    return this.#count >= most
  }

  /** The gift as it is, and again whenever its state has changed; ends with its end, or at `close`. */
  async *watch(id: string): AsyncGenerator<Gift> {
    const { signal } = this.#closing
    this.#count++
    try {
      let last: Gift['state'] | undefined
      while (!signal.aborted) {
        // oxlint-disable-next-line no-await-in-loop -- one look after the other
        const gift = await this.#gifts.find(id)
        if (gift === undefined) return
        if (gift.state !== last) yield gift
        if (gift.state === 'sent' || gift.state === 'failed') return
        last = gift.state
        // oxlint-disable-next-line no-await-in-loop
        await sleep(interval, undefined, { signal }).catch(() => {})
      }
    } finally {
      this.#count--
    }
  }

  /** Ends all that is watched. */
  close(): void {
    this.#closing.abort()
  }
}
