import { within, type Clock } from '../clock.ts'
import { MilenaError } from '../errors.ts'
import type { Commits } from './commits.ts'
import type { PartitionWork } from './partition-work.ts'
import { pausedFor, type Reading } from './reading.ts'
import { keyOf } from '../transport/partition-key.ts'
import type { Warnings } from '../warnings.ts'

/** Milliseconds that the last commit of a partition may take, beyond the drain. */
export const commitTimeout = 2_000
/** The most of the drain's time, in milliseconds, that is kept for what has begun while lingering. */
const longestMargin = 2_000

export interface HandOverOptions {
  readonly groupId: string
  readonly clock: Clock
  readonly commits: Commits
  readonly reading: Reading
  readonly warnings: Warnings
  letGo(work: PartitionWork, reason: Error): void
}

export interface HandOverTerms {
  /** Milliseconds that running handlers and their replies have; `Infinity`: however long they take. */
  readonly timeout: number
  /** Whether everything goes on while what had begun is still running. */
  readonly linger: boolean
  /** What handlers are told that have not ended by then. */
  readonly reason: Error
}

/** Lets go of partitions in good order: lingers, drains, commits (the states: `partition-work.ts`). */
export class HandOver {
  readonly #options: HandOverOptions

  constructor(options: HandOverOptions) {
    this.#options = options
  }

  /** Never rejects. */
  async settle(works: readonly PartitionWork[], { timeout, linger, reason }: HandOverTerms): Promise<void> {
    if (works.length === 0) return
    const { clock, reading, warnings, groupId } = this.#options
    const began = clock.monotonic()
    if (linger) {
      // Kept back for the handlers that begin meanwhile.
      const margin = Math.min(longestMargin, timeout / 4)
      await within(clock, timeout - margin, Promise.all(works.map((work) => work.linger())))
    }
    const left = Math.max(0, timeout - (clock.monotonic() - began))
    for (const work of works) reading.pause(work, pausedFor.drain)
    const until = clock.now() + left
    if (!(await within(clock, left, Promise.all(works.map((work) => work.drain(until)))))) {
      warnings.tell('handlers did not end in time; their requests will be handled again', {
        groupId,
        waited: timeout,
        partitions: works.filter((work) => !work.isDrained).map(keyOf),
      })
    }
    await within(clock, commitTimeout, this.#commitAll(works))
    for (const work of works) this.#options.letGo(work, reason)
  }

  /** Commits until everything of these partitions is committed, or they are gone or fenced. */
  async #commitAll(works: readonly PartitionWork[]): Promise<void> {
    const { commits, clock } = this.#options
    for (let fenced = 0; fenced < 2;) {
      const failure = await commits.flush()
      if (works.every((work) => work.gone || work.isCommitted)) return
      if (failure === undefined) return
      if (failure instanceof MilenaError && failure.code === 'MILENA_COMMIT_FENCED') fenced++
      await new Promise<void>((resolve) => clock.schedule(100, resolve))
    }
  }
}
