/** Kills processes while the load runs, in turn, where they can be hit: just when a mail is sent and nobody knows yet. */
import type { JsonClient } from '@milena/hosting'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CouponSystem, Service } from '../system.ts'
import { readMailboxStats, setAnswerDelay } from './reading.ts'

/** The worker as often as the others together: it is the one that the point is about. */
const turns: readonly Service[] = ['mail-worker', 'mail-api', 'mail-worker', 'coupon']
/** Milliseconds between two looks, and after which it is killed wherever it is. */
const pause = 5
const patience = 15_000
/** Milliseconds from when a mail is in the mailbox until its sender is told: as long as a server may take to store it. */
export const answerDelay = 60
/** Milliseconds for which the server keeps its senders waiting meanwhile: else one that was seen untold may be told by then. */
const held = 1_000

export class Kills {
  readonly killed: Record<Service, number> = { coupon: 0, 'mail-worker': 0, 'mail-api': 0 }
  /** When the first was killed, in milliseconds since the Unix epoch; `Infinity` before. */
  first = Infinity
  readonly #system: CouponSystem
  readonly #mailbox: JsonClient | undefined
  readonly #wanted: number
  readonly #gifts: number
  #begun = 0
  #running: Promise<void> = Promise.resolve()

  /** @param mailbox tells when a mail is being sent; without it any moment will do */
  constructor(system: CouponSystem, mailbox: JsonClient | undefined, wanted: number, gifts: number) {
    this.#system = system
    this.#mailbox = mailbox
    this.#wanted = wanted
    this.#gifts = gifts
  }

  /** To be called before each gift, with how many were given. */
  advance(given: number): void {
    while (
      this.#begun < Math.floor(((given + 1) * (this.#wanted + 1)) / (this.#gifts + 1)) &&
      this.#begun < this.#wanted
    ) {
      const victim = turns[this.#begun++ % turns.length]!
      this.#running = this.#running.then(() => this.#kill(victim))
      // `end` tells it.
      this.#running.catch(() => {})
    }
  }

  /** Resolves when all that was to be killed is; rejects when one could not be. */
  end(): Promise<void> {
    return this.#running
  }

  async #kill(victim: Service): Promise<void> {
    while (!this.#system.isUp(victim)) await sleep(pause)
    if (this.#mailbox !== undefined) await setAnswerDelay(this.#mailbox, held)
    const began = performance.now()
    while (!(await this.#isSending()) && performance.now() - began < patience) await sleep(pause)
    this.first = Math.min(this.first, Date.now())
    this.killed[victim]++
    this.#system.kill(victim)
    if (this.#mailbox !== undefined) await setAnswerDelay(this.#mailbox, answerDelay)
  }

  async #isSending(): Promise<boolean> {
    return this.#mailbox === undefined || (await readMailboxStats(this.#mailbox)).untold > 0
  }
}
