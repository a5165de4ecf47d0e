/** The store as one owner uses it: a change is made, or it is certain that somebody else has the saga. */
import type { Clock } from '../clock.ts'
import { wordsOf } from '../words.ts'
import type { SagaStatus } from './status.ts'
import { TransactionRefused, type SagaClaim, type SagaStore, type SavedSaga } from './store.ts'

/** The pause between two tries at the store, in milliseconds; it doubles up to the second. */
const pauses = { first: 100, longest: 5_000 }

/** The application's own part of a change has thrown: nothing was changed. */
export class WorkFailed extends Error {
  readonly thrown: unknown
  constructor(thrown: unknown) {
    super(wordsOf(thrown))
    this.thrown = thrown
  }
}

export interface StoreTrouble {
  /** The store has refused, or cannot be reached; told again with each try. */
  began(thrown: unknown): void
  ended(): void
}

/** A change that was made. */
export interface Saved {
  readonly claim: SagaClaim
  readonly status: SagaStatus
}

export class ClaimedStore {
  readonly #store: SagaStore<unknown>
  readonly #clock: Clock
  readonly #trouble: StoreTrouble
  readonly #stop: AbortSignal

  constructor(store: SagaStore<unknown>, clock: Clock, trouble: StoreTrouble, stop: AbortSignal) {
    this.#store = store
    this.#clock = clock
    this.#trouble = trouble
    this.#stop = stop
  }

  /**
   * Makes the change, however long the store is away. A try whose outcome is not known is made again: under the same
   * version only one of them can be.
   *
   * @returns undefined when the saga is somebody else's by now, or when it was stopped
   * @param work whether a part of the change is a step's own: then that is what the database refuses
   * @throws WorkFailed when `change` throws it, or the database refuses what the step has done
   */
  async save(
    claim: SagaClaim,
    change: SavedSaga | ((transaction: unknown) => Promise<SavedSaga>),
    work: boolean = false,
  ): Promise<Saved | undefined> {
    let written: SagaStatus | undefined
    const changing =
      typeof change === 'function'
        ? async (transaction: unknown): Promise<SavedSaga> => {
            const saved = await change(transaction)
            written = saved.status
            return saved
          }
        : change
    if (typeof change !== 'function') written = change.status
    for (let pause = pauses.first; !this.#stop.aborted; pause = Math.min(2 * pause, pauses.longest)) {
      try {
        const next = await this.#store.save(claim, changing)
        const saved = next === undefined ? await this.#madeBefore(claim) : { claim: next, status: written! }
        this.#trouble.ended()
        return saved
      } catch (thrown) {
        if (thrown instanceof WorkFailed) throw thrown
        if (work && thrown instanceof TransactionRefused) throw new WorkFailed(thrown)
        this.#trouble.began(thrown)
        await wait(this.#clock, pause, this.#stop)
      }
    }
    return undefined
  }

  /** The next version under our own token: an earlier try of ours has been made after all. */
  async #madeBefore(claim: SagaClaim): Promise<Saved | undefined> {
    const now = await this.#store.current(claim)
    if (now?.version !== claim.version + 1) return undefined
    return { claim: now, status: now.status }
  }
}

/** Resolves after so many milliseconds, or when the signal fires. */
export async function wait(clock: Clock, milliseconds: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = clock.schedule(milliseconds, resolve)
  const done = (): void => resolve()
  signal.addEventListener('abort', done, { once: true })
  await promise
  timer.cancel()
  signal.removeEventListener('abort', done)
}
