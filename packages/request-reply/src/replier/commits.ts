import type { Clock, ScheduledTimer } from '../clock.ts'
import { offsetsCommitted } from '../diagnostics.ts'
import { MilenaError } from '../errors.ts'
import type { GroupMembership } from '../transport/transport.ts'
import { errorOf } from '../words.ts'
import { describeFinished, longestMetadata } from './finished-ahead.ts'
import type { Job, PartitionWork } from './partition-work.ts'
import type { ReplierCounters } from './stats.ts'
import type { Warnings } from '../warnings.ts'

/** The longest pause between attempts after a failed commit, in milliseconds. */
const longestPause = 5_000

export interface CommitsOptions {
  readonly groupId: string
  readonly interval: number
  readonly clock: Clock
  readonly counters: ReplierCounters
  readonly warnings: Warnings
}

interface Due {
  readonly work: PartitionWork
  readonly offset: number
  readonly metadata: string
  readonly covered: number
  readonly finished: number
}

/**
 * Commits what is finished: `interval` milliseconds after the first change, everything that has gathered in one commit,
 * never two at once. What is finished above the lowest unfinished record stands in the commit's metadata
 * (`finished-ahead.ts`). One that fails is made again; nothing depends on it but how much is handled twice after a crash.
 */
export class Commits {
  readonly #options: CommitsOptions
  readonly #changed = new Set<PartitionWork>()
  readonly #joined = Promise.withResolvers<GroupMembership>()
  #timer: ScheduledTimer | undefined
  #inFlight: Promise<Error | undefined> | undefined
  #failures = 0
  /** Characters of metadata that the brokers are believed to take. */
  #longestMetadata = longestMetadata

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
    const due: Due[] = []
    for (const work of this.#changed) {
      const { next, finished } = work.tracker
      if (work.gone || next === undefined || work.isCommitted) continue
      const { metadata, covered } = describeFinished(
        work.tracker,
        work.finishedAhead,
        timestampOf,
        this.#longestMetadata,
      )
      if (next === work.committed && metadata === work.committedMetadata) {
        work.committedAt = finished
        continue
      }
      due.push({ work, offset: next, metadata, covered, finished })
    }
    this.#changed.clear()
    if (due.length === 0) return Promise.resolve(undefined)
    const attempt = this.#send(due)
    this.#inFlight = attempt
    return attempt
  }

  async #send(due: readonly Due[]): Promise<Error | undefined> {
    const { counters, groupId, interval } = this.#options
    let failure: Error | undefined
    try {
      const membership = await this.#joined.promise
      const offsets = due.map(({ work: { topic, partition }, offset, metadata }) => ({
        topic,
        partition,
        offset,
        metadata,
      }))
      await membership.commit(offsets)
      this.#failures = 0
      for (const one of due) this.#record(one)
      if (offsetsCommitted.hasSubscribers) {
        const positions = offsets.map(({ topic, partition, offset }) => ({ topic, partition, offset }))
        offsetsCommitted.publish({ groupId, offsets: positions })
      }
    } catch (error) {
      failure = errorOf(error)
      counters.commitFailures++
      this.#lookAtRefusal(failure, due)
      for (const { work } of due) if (!work.gone) this.#changed.add(work)
      if (this.#failures++ === 0) this.#warn(failure)
    }
    this.#inFlight = undefined
    if (this.#changed.size > 0 && this.#timer === undefined) {
      this.#plan(
        failure === undefined ? interval : Math.min(longestPause, 100 * 2 ** Math.min(this.#failures, 6)),
      )
    }
    return failure
  }

  #record({ work, offset, metadata, covered, finished }: Due): void {
    if (offset !== work.committed) work.past.finished.committed(offset)
    work.committed = offset
    work.committedMetadata = metadata
    work.committedAt = finished
    // Less may fit into the metadata than before.
    this.#options.counters.committed += Math.max(0, covered - work.committedRecords)
    work.committedRecords = Math.max(covered, work.committedRecords)
  }

  /** A broker may take less metadata than Apache Kafka does unless told otherwise. */
  #lookAtRefusal(failure: Error, due: readonly Due[]): void {
    const longest = Math.max(...due.map(({ metadata }) => metadata.length))
    const refused = failure instanceof MilenaError && failure.code === 'MILENA_BROKER_ERROR'
    if (refused && !failure.retryable && longest > 0) this.#longestMetadata = Math.floor(longest / 2)
  }

  #warn(failure: Error): void {
    const { groupId, warnings } = this.#options
    const fenced = failure instanceof MilenaError && failure.code === 'MILENA_COMMIT_FENCED'
    const message = fenced
      ? 'a commit came too late, the partition was let go of or its log is gone'
      : 'a commit failed and is made again'
    warnings.tell(message, { groupId }, failure)
  }
}

function timestampOf({ unreadable, record, phase }: Job): number | undefined {
  return unreadable === undefined && phase !== 'over' ? record.timestamp : undefined
}
