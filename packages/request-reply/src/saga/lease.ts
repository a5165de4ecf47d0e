import type { Clock } from '../clock.ts'
import { MilenaError } from '../errors.ts'
import { wait, type StoreTrouble } from './claimed.ts'
import { Rounds } from './rounds.ts'
import type { SagaStore } from './store.ts'

/** Renewals that may wait for an answer at once: one that hangs is no reason for the next one to. */
const mostAsked = 3

/** One process's lease on what it has claimed, renewed three times in its length. */
export class Lease {
  readonly owner: string
  readonly #store: SagaStore<unknown>
  readonly #clock: Clock
  readonly #length: number
  readonly #trouble: StoreTrouble
  readonly #rounds: Rounds
  #hold = new AbortController()
  #renewedAt = 0
  #asked = 0

  constructor(owner: string, store: SagaStore<unknown>, clock: Clock, length: number, trouble: StoreTrouble) {
    this.owner = owner
    this.#store = store
    this.#clock = clock
    this.#length = length
    this.#trouble = trouble
    this.#rounds = new Rounds(clock, length / 3, () => this.#renew())
  }

  /** Fires when the lease has run out: others may have our sagas. Another one holds for what is claimed after that. */
  get hold(): AbortSignal {
    return this.#hold.signal
  }

  /** @throws what the store does */
  async begin(): Promise<void> {
    const began = this.#clock.monotonic()
    await this.#store.renew(this.owner, this.#length)
    this.#renewedAt = began
  }

  keep(): Promise<void> {
    return this.#rounds.start()
  }

  stop(): Promise<void> {
    return this.#rounds.stop()
  }

  async #renew(): Promise<void> {
    const began = this.#clock.monotonic()
    if (began - this.#renewedAt >= this.#length) {
      this.#hold.abort(new MilenaError('MILENA_CLOSED', 'the lease has run out: others may have the saga'))
      this.#hold = new AbortController()
    }
    const patience = this.#length / 3
    const answered = new AbortController()
    const late = wait(this.#clock, patience, answered.signal).then(() => {
      if (answered.signal.aborted) return
      this.#trouble.began(new Error(`the store has not answered within ${Math.round(patience)} ms`))
    })
    const asked = this.#asked < mostAsked ? this.#ask(began).then(() => answered.abort()) : late
    await Promise.race([asked, late])
  }

  async #ask(began: number): Promise<void> {
    this.#asked++
    try {
      await this.#store.renew(this.owner, this.#length)
      this.#renewedAt = Math.max(this.#renewedAt, began)
    } catch (thrown) {
      this.#trouble.began(thrown)
    } finally {
      this.#asked--
    }
  }
}
