/** Sagas over a store in memory, and work that fails. */
import type { AnySaga } from '../../src/saga/definition.ts'
import { MemorySagaStore, type MemoryTransaction } from '../../src/saga/memory-store.ts'
import { createSagas } from '../../src/saga/open-sagas.ts'
import type { SagasOptions } from '../../src/saga/options.ts'
import type { Sagas } from '../../src/saga/sagas.ts'
import { StepError } from '../../src/saga/step-error.ts'
import { ManualClock } from '../manual-clock.ts'

export const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}

export interface Set extends AsyncDisposable {
  readonly sagas: Sagas
  readonly clock: ManualClock
  readonly store: MemorySagaStore
  readonly warnings: string[]
}

export async function setUp(
  definitions: readonly AnySaga<MemoryTransaction>[],
  options: Partial<SagasOptions<MemoryTransaction>> = {},
  shared: Partial<Pick<Set, 'clock' | 'store'>> = {},
): Promise<Set> {
  const clock = shared.clock ?? new ManualClock(turns)
  const store = shared.store ?? new MemorySagaStore({ clock })
  const warnings: string[] = []
  const logger = { warn: (message: string): void => void warnings.push(message) }
  const sagas = createSagas({ store, sagas: definitions, clock, logger, ...options })
  await sagas.start()
  return {
    sagas,
    clock,
    store,
    warnings,
    [Symbol.asyncDispose]: async () => {
      const closed = sagas.close({ timeout: 0 })
      await clock.advance(10_000)
      await closed
    },
  }
}

export const never = new Promise<never>(() => undefined)

export function refuse(): never {
  throw new StepError('no', { code: 'NO' })
}
