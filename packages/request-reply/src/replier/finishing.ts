import type { Clock } from '../clock.ts'
import { handlingEnded, requestPassedOver, type HandlingOutcome } from '../diagnostics.ts'
import { errorOf } from '../words.ts'
import type { Commits } from './commits.ts'
import type { Addressee } from './addressee.ts'
import type { BeforeFinish, Finished } from './before-finish.ts'
import type { Handling } from './dispatch.ts'
import type { Rooms } from './rooms.ts'
import type { Job } from './partition-work.ts'
import type { Outcome, PassedOverOutcome } from './outcome.ts'
import type { Standstills } from './standstills.ts'
import type { ReplierCounters } from './stats.ts'
import type { Steps } from './steps.ts'
import type { Warnings } from '../warnings.ts'

export interface FinishingOptions {
  readonly beforeFinish: BeforeFinish | undefined
  readonly clock: Clock
  readonly commits: Commits
  readonly inHand: Rooms
  readonly standstills: Standstills
  readonly counters: ReplierCounters
  readonly warnings: Warnings
  readonly steps: Steps
}

/** What a record goes through when it has its outcome, until nothing is left to do for it. */
export class Finishing {
  readonly #options: FinishingOptions

  constructor(options: FinishingOptions) {
    this.#options = options
  }

  /** A promise only where a hook is called. Never rejects. */
  finish(
    job: Job,
    outcome: Outcome,
    ended: HandlingOutcome,
    reason: string | undefined,
    handling: Handling | undefined,
    to: Addressee | undefined,
  ): void | Promise<void> {
    if (outcome.kind === 'passed over') this.#tellPassedOver(job, outcome)
    const own = handling?.beforeFinish
    const { beforeFinish } = this.#options
    if (own !== undefined || beforeFinish !== undefined) {
      return this.#finishAfter([own, beforeFinish], job, outcome, ended, reason, handling, to)
    }
    this.#over(job, ended, reason, handling, to)
  }

  /** It is left as it is, since its partition is somebody else's by now; it comes again there. */
  leave(job: Job, ended: 'abandoned' | 'dropped'): void {
    if (job.phase === 'over') return
    const begun = job.phase !== 'waiting' && job.phase !== 'parked'
    this.#options.inHand.of(job.work).remove(job.work, job.bytes)
    this.#tellEnded(job, ended, undefined)
    job.end()
    if (begun) job.work.rests(job)
  }

  async #finishAfter(
    hooks: readonly (BeforeFinish | undefined)[],
    job: Job,
    outcome: Outcome,
    ended: HandlingOutcome,
    reason: string | undefined,
    handling: Handling | undefined,
    to: Addressee | undefined,
  ): Promise<void> {
    job.phase = 'finishing'
    const { work, record, unreadable, offset, attempt } = job
    const { topic, partition } = work
    const finished: Finished = {
      topic,
      partition,
      offset,
      record: unreadable === undefined ? record : undefined,
      unreadable,
      operation: handling?.operation.name,
      outcome,
      error: job.thrown,
      attempt,
    }
    for (const hook of hooks) {
      for (let through = hook === undefined; !through;) {
        try {
          await hook!(finished)
          through = true
        } catch (error) {
          if (!work.gone) await this.#options.standstills.pause(job, 'before-finish', errorOf(error))
          // Whoever has the partition by now handles it again.
          if (work.gone) return this.leave(job, 'abandoned')
        }
      }
    }
    this.#over(job, ended, reason, handling, to)
  }

  #over(
    job: Job,
    ended: HandlingOutcome,
    reason: string | undefined,
    handling: Handling | undefined,
    to: Addressee | undefined,
  ): void {
    const { work } = job
    const { commits, inHand, standstills } = this.#options
    if (job.unreadable === undefined) work.past.finished.add(job.record, to?.correlationId)
    standstills.end(job)
    this.#tellEnded(job, ended, reason)
    if (handling !== undefined) this.#measure(job, handling)
    inHand.of(work).remove(work, job.bytes)
    job.end()
    const moved = work.finish(job)
    if (work.gone) return
    commits.touch(work)
    if (moved) standstills.moved(work)
  }

  #measure(job: Job, { operation }: Handling): void {
    const { waited, handled, delivered } = this.#options.counters.durationsOf(operation.name)
    waited.record(job.beganAt - job.receivedAt)
    handled.record(job.handledAt - job.beganAt)
    if (job.deliveredAt !== 0) delivered.record(job.deliveredAt - job.handledAt)
  }

  #tellEnded(job: Job, outcome: HandlingOutcome, reason: string | undefined): void {
    if (!handlingEnded.hasSubscribers || job.unreadable !== undefined) return
    // It may have been dropped before its turn, or before it had its outcome.
    const now = this.#options.clock.monotonic()
    const began = job.beganAt || now
    const handled = job.handledAt || now
    handlingEnded.publish({
      ...this.#options.steps.of(job),
      outcome,
      reason,
      waited: began - job.receivedAt,
      handled: handled - began,
      delivered: job.deliveredAt === 0 ? 0 : job.deliveredAt - handled,
    })
  }

  #tellPassedOver(job: Job, { reason, detail }: PassedOverOutcome): void {
    const { counters, warnings, steps } = this.#options
    const { topic, partition } = job.work
    counters.countPassedOver(reason)
    if (job.unreadable !== undefined) {
      const { offset, next, bytes } = job.unreadable
      const what = 'a stretch of a partition cannot be read and was passed over'
      warnings.tell(what, { topic, partition, offset, next, bytes, reason: detail })
      return
    }
    warnings.tell('a request cannot be answered and was passed over', {
      topic,
      partition,
      offset: job.offset,
      bytes: job.record.size,
      reason,
      detail,
    })
    if (requestPassedOver.hasSubscribers) requestPassedOver.publish({ ...steps.of(job), reason })
  }
}
