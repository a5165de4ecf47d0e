/** An idempotency store whose process can be killed, and whose answers can be lost, at each of its steps. */
import type {
  Claim,
  ClaimOptions,
  Found,
  IdempotencyId,
  IdempotencyStore,
  IdempotencyTransaction,
} from '../src/idempotency/store.ts'
import type { StoredOutcome } from '../src/contract/stored-outcome.ts'

export type StoreStep = 'claim' | 'renew' | 'complete' | 'release' | 'find' | 'begin' | 'commit'

/**
 * `before`: the step is not done; `after`: it is, and its caller does not learn of it. Thrown errors are the store's
 * trouble; a promise that never settles is a caller that has died.
 */
export type StoreFault = (step: StoreStep, when: 'before' | 'after', key: string) => void | Promise<void>

export class FaultyStore<Added extends object = object> implements IdempotencyStore<Added> {
  readonly steps: StoreStep[] = []
  readonly begin?: () => Promise<IdempotencyTransaction<Added>>
  fault: StoreFault = () => undefined
  readonly #store: IdempotencyStore<Added>

  constructor(store: IdempotencyStore<Added>) {
    this.#store = store
    if (store.begin !== undefined) this.begin = () => this.#begin()
  }

  claim(id: IdempotencyId, options: ClaimOptions): Promise<Claim> {
    return this.#do('claim', id.key, () => this.#store.claim(id, options))
  }

  renew(id: IdempotencyId, token: number, lease: number): Promise<boolean> {
    return this.#do('renew', id.key, () => this.#store.renew(id, token, lease))
  }

  complete(
    id: IdempotencyId,
    token: number,
    outcome: StoredOutcome,
    ttl: number,
  ): Promise<'completed' | 'fenced'> {
    return this.#do('complete', id.key, () => this.#store.complete(id, token, outcome, ttl))
  }

  release(id: IdempotencyId, token: number, trace: boolean): Promise<void> {
    return this.#do('release', id.key, () => this.#store.release(id, token, trace))
  }

  find(id: IdempotencyId): Promise<Found> {
    return this.#do('find', id.key, () => this.#store.find(id))
  }

  async #begin(): Promise<IdempotencyTransaction<Added>> {
    const transaction = await this.#do('begin', '', () => this.#store.begin!())
    return {
      added: transaction.added,
      check: async () => transaction.check?.(),
      complete: (id, ...completion) =>
        this.#do('commit', id.key, () => transaction.complete(id, ...completion)),
      rollback: () => transaction.rollback(),
    }
  }

  async #do<Result>(step: StoreStep, key: string, act: () => Promise<Result>): Promise<Result> {
    this.steps.push(step)
    await this.fault(step, 'before', key)
    const result = await act()
    await this.fault(step, 'after', key)
    return result
  }
}

/** The store cannot be asked. */
export function away(): never {
  throw new Error('the store is away')
}

/** Whoever waits for this is dead. */
export function died(): Promise<never> {
  return new Promise(() => undefined)
}
