import type { Clock } from '../clock.ts'
import { wait, type StoreTrouble } from './claimed.ts'
import type { SagaStatus } from './status.ts'
import type { SagaStore } from './store.ts'

/** Changes are read in pages of so many, when the last one was taken: nothing gathers in memory. */
const pageSize = 100

/** Every saga that changes from now on, until the signal fires. */
export async function* watchChanges(
  store: SagaStore<unknown>,
  clock: Clock,
  interval: number,
  trouble: StoreTrouble,
  signal: AbortSignal,
): AsyncGenerator<SagaStatus, void, void> {
  let cursor: string | undefined
  while (!signal.aborted) {
    let full = false
    try {
      const changes = await store.changes(cursor, pageSize)
      trouble.ended()
      cursor = changes.cursor
      full = changes.sagas.length === pageSize
      for (const status of changes.sagas) {
        if (signal.aborted) return
        yield status
      }
    } catch (thrown) {
      trouble.began(thrown)
    }
    if (!full) await wait(clock, interval, signal)
  }
}
