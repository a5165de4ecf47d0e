import type { Clock, ScheduledTimer } from '../clock.ts'
import type { IdempotencyId, IdempotencyStore } from './store.ts'

/**
 * Renews a claim until it ends or is somebody else's: at half of its lease, so that work shorter than that renews nothing,
 * and where the store cannot be asked again after a sixth, so that there are three tries before the lease is over.
 */
export class Lease {
  readonly #store: IdempotencyStore
  readonly #clock: Clock
  readonly #id: IdempotencyId
  readonly #token: number
  readonly #lease: number
  readonly #onLost: () => void
  #timer: ScheduledTimer | undefined
  #isSettling = false
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
    this.#wait(lease / 2)
  }

  /** Its outcome is being stored, which will be told whether it still was its owner's: a renewal may come after that. */
  settle(): void {
    this.#isSettling = true
  }

  end(): void {
    this.#ended = true
    this.#timer?.cancel()
  }

  #wait(delay: number): void {
    this.#timer = this.#clock.schedule(delay, () => void this.#renew())
  }

  async #renew(): Promise<void> {
    let held: boolean | undefined
    try {
      held = await this.#store.renew(this.#id, this.#token, this.#lease)
    } catch {
      // It may be asked in a while: until then the claim is what it was.
    }
    if (this.#ended) return
    if (held === undefined) return this.#wait(this.#lease / 6)
    if (held) return this.#wait(this.#lease / 2)
    this.end()
    if (this.#isSettling) return
    this.lost = true
    this.#onLost()
  }
}
