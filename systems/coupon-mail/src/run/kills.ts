/** Kills processes while the load runs, in turn. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type CouponSystem, type Service } from '../system.ts'

/** The worker as often as the others together: it is the one that the point is about. */
const turns: readonly Service[] = ['mail-worker', 'mail-api', 'mail-worker', 'coupon']

export class Kills {
  readonly killed: Record<Service, number> = { coupon: 0, 'mail-worker': 0, 'mail-api': 0 }
  readonly #system: CouponSystem
  readonly #wanted: number
  readonly #gifts: number
  #done = 0

  constructor(system: CouponSystem, wanted: number, gifts: number) {
    this.#system = system
    this.#wanted = wanted
    this.#gifts = gifts
  }

  /** To be called before each gift, with how many were given. */
  advance(given: number): void {
    const due = Math.floor(((given + 1) * (this.#wanted + 1)) / (this.#gifts + 1))
    if (this.#done < Math.min(due, this.#wanted)) this.#killNext()
  }

  /** Kills those that could not be killed yet, since they were just away. */
  async end(): Promise<void> {
    while (this.#done < this.#wanted) {
      this.#killNext()
      await sleep(100)
    }
  }

  #killNext(): void {
    const victim = turns[this.#done % turns.length]!
    if (!this.#system.isUp(victim)) return
    this.#done++
    this.killed[victim]++
    this.#system.kill(victim)
  }
}
