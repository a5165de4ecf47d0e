import type { Clock, ScheduledTimer } from '../clock.ts'
import { offsetsCommitted } from '../diagnostics.ts'
import { MilenaError } from '../errors.ts'
import type { GroupMembership, RecordPosition } from '../transport/transport.ts'
import { errorOf } from '../words.ts'
import type { PartitionWork } from './partition-work.ts'
import type { ReplierCounters } from './stats.ts'
import type { Warnings } from './warnings.ts'

/** The longest pause between attempts after a failed commit, in milliseconds. */
const longestPause = 5_000

export interface CommitsOptions {
  readonly groupId: string
  readonly interval: number
  readonly clock: Clock
  readonly counters: ReplierCounters
  readonly warnings: Warnings
}

/**
 * Commits what is finished: `interval` milliseconds after the first change, everything that has gathered in one commit,
 * never two at once. One that fails is made again; nothing depends on it but how much is handled twice after a crash.
 */
export class Commits {
  readonly #options: CommitsOptions
  readonly #changed = new Set<PartitionWork>()
  readonly #joined = Promise.withResolvers<GroupMembership>()
  #timer: ScheduledTimer | undefined
  #inFlight: Promise<Error | undefined> | undefined
  #failures = 0

  constructor(options: CommitsOptions) {
    this.#options = options
  }

  joined(membership: GroupMembership): void {
    this.#joined.resolve(membership)
  }

  /** More of this partition is finished. */
  touch(work: PartitionWork): void {
    this.#changed.add(work)
    if (this.#timer === undefined && this.#inFlight === undefined) this.#plan(this.#options.interval)
  }

  /** Commits at once, after the commit in flight; returns what went wrong. */
  async flush(): Promise<Error | undefined> {
    while (this.#inFlight !== undefined) await this.#inFlight
    return this.#commit()
  }

  close(): void {
    this.#changed.clear()
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #plan(delay: number): void {
    this.#timer = this.#options.clock.schedule(delay, () => {
      this.#timer = undefined
      if (this.#inFlight === undefined) void this.#commit()
    })
  }

  #commit(): Promise<Error | undefined> {
    this.#timer?.cancel()
    this.#timer = undefined
    const works: PartitionWork[] = []
    const offsets: RecordPosition[] = []
    const passed: number[] = []
    for (const work of this.#changed) {
      const { next } = work.tracker
      if (work.gone || next === undefined || next === work.committed) continue
      works.push(work)
      offsets.push({ topic: work.topic, partition: work.partition, offset: next })
      passed.push(work.tracker.passed)
    }
    this.#changed.clear()
    if (offsets.length === 0) return Promise.resolve(undefined)
    const attempt = this.#send(works, offsets, passed)
    this.#inFlight = attempt
    return attempt
  }

  async #send(
    works: readonly PartitionWork[],
    offsets: readonly RecordPosition[],
    passed: readonly number[],
  ): Promise<Error | undefined> {
    let failure: Error | undefined
    try {
      const membership = await this.#joined.promise
      await membership.commit(offsets)
      this.#failures = 0
      this.#record(works, offsets, passed)
    } catch (error) {
      failure = errorOf(error)
      this.#options.counters.commitFailures++
      for (const work of works) if (!work.gone) this.#changed.add(work)
      if (this.#failures++ === 0) this.#warn(failure)
    }
    this.#inFlight = undefined
    if (this.#changed.size > 0 && this.#timer === undefined) {
      const { interval } = this.#options
      this.#plan(
        failure === undefined ? interval : Math.min(longestPause, 100 * 2 ** Math.min(this.#failures, 6)),
      )
    }
    return failure
  }

  #record(
    works: readonly PartitionWork[],
    offsets: readonly RecordPosition[],
    passed: readonly number[],
  ): void {
    works.forEach((work, i) => {
      work.committed = offsets[i]!.offset
      work.past.finished.committed(work.committed)
      this.#options.counters.committed += passed[i]! - work.committedRecords
      work.committedRecords = passed[i]!
    })
    if (offsetsCommitted.hasSubscribers) offsetsCommitted.publish({ groupId: this.#options.groupId, offsets })
  }

  #warn(failure: Error): void {
    const { groupId, warnings } = this.#options
    const fenced = failure instanceof MilenaError && failure.code === 'MILENA_COMMIT_FENCED'
    const message = fenced
      ? 'a commit came too late, the partition has another owner'
      : 'a commit failed and is made again'
    warnings.tell(message, { groupId }, failure)
  }
}
