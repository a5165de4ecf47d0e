import type { SagaStore } from '../../src/saga/store.ts'

export interface Crash {
  /** Which call of the store it is, from 1. */
  readonly at: number
  /** Whether that call still takes place. */
  readonly when: 'before' | 'after'
}

/** A process's way to the store: from a call on it is dead, and nothing comes back to it any more. */
export function crashingStore<Transaction>(
  store: SagaStore<Transaction>,
  crash: Crash | undefined,
): { store: SagaStore<Transaction>; readonly calls: number; readonly dead: boolean } {
  const state = { calls: 0, dead: false }
  const handler: ProxyHandler<SagaStore<Transaction>> = {
    get(target, name) {
      const method = target[name as keyof SagaStore<Transaction>] as (...given: unknown[]) => Promise<unknown>
      return async (...given: unknown[]): Promise<unknown> => {
        const never = new Promise<never>(() => undefined)
        if (state.dead) return never
        const last = ++state.calls === crash?.at
        if (last && crash.when === 'before') {
          state.dead = true
          return never
        }
        const result = await method.apply(target, given)
        if (last) state.dead = true
        return state.dead ? never : result
      }
    },
  }
  return {
    store: new Proxy(store, handler),
    get calls() {
      return state.calls
    },
    get dead() {
      return state.dead
    },
  }
}
