import type { Clock, ScheduledTimer } from '../clock.ts'
import type { IdempotencyId, IdempotencyStore } from './store.ts'

/** Renews a claim, three times in each lease, until it ends or is somebody else's. */
export class Lease {
  readonly #store: IdempotencyStore
  readonly #clock: Clock
  readonly #id: IdempotencyId
  readonly #token: number
  readonly #lease: number
  readonly #onLost: () => void
  #timer: ScheduledTimer | undefined
  #ended = false
  /** Whether somebody else has the claim. */
  lost = false

  constructor(
    store: IdempotencyStore,
    clock: Clock,
    id: IdempotencyId,
    token: number,
    lease: number,
    onLost: () => void,
  ) {
    this.#store = store
    this.#clock = clock
    this.#id = id
    this.#token = token
    this.#lease = lease
    this.#onLost = onLost
    this.#wait()
  }

  end(): void {
    this.#ended = true
    this.#timer?.cancel()
  }

  #wait(): void {
    this.#timer = this.#clock.schedule(this.#lease / 3, () => void this.#renew())
  }

  async #renew(): Promise<void> {
    // A store that cannot be asked now may be asked in a while: until then the claim is what it was.
    const held = await this.#store.renew(this.#id, this.#token, this.#lease).catch(() => true)
    if (this.#ended) return
    if (held) return this.#wait()
    this.end()
    this.lost = true
    this.#onLost()
  }
}
