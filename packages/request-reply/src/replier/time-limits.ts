import type { Clock } from '../clock.ts'
import { remoteCodes } from '../errors.ts'
import type { Job } from './partition-work.ts'
import type { KeyLanes } from './key-lanes.ts'
import type { ErrorOutcome } from './outcome.ts'
import { describe } from './slow-work.ts'
import type { ReplierCounters } from './stats.ts'
import type { Steps } from './steps.ts'
import type { Warnings } from '../warnings.ts'

export interface TimeLimitsOptions {
  readonly clock: Clock
  readonly turns: KeyLanes<Job>
  readonly counters: ReplierCounters
  readonly warnings: Warnings
  readonly steps: Steps
  /** The replier's `handlerTimeout`, for operations that have none of their own. */
  readonly handlerTimeout: number | undefined
  /** The most handlers that are left behind at a time. */
  readonly mostLeftBehind: number
  /** Answers the request, and counts its record as finished when it is. */
  conclude(job: Job, outcome: ErrorOutcome): void
}

/**
 * What becomes of a request whose handler does not end.
 *
 *     handling ── handlerTimeout ──▶ answered with an error, finished; slot and lane are kept until the handler ends,
 *        │                           or let go of where the operation says `leaveBehind`
 *        └── the caller's deadline ──▶ with `leaveBehind`: slot and lane are let go of, the record waits for its handler
 */
export class TimeLimits {
  readonly #options: TimeLimitsOptions
  #leftBehind = 0

  constructor(options: TimeLimitsOptions) {
    this.#options = options
  }

  /** Handlers that run without a slot. */
  get leftBehind(): number {
    return this.#leftBehind
  }

  /** The handler has been called and has not ended. */
  begin(job: Job): void {
    const { handling } = job
    if (handling === undefined || job.phase !== 'handling' || job.unlimited) return
    const timeout = handling.handlerTimeout ?? this.#options.handlerTimeout
    const deadline = handling.leaveBehind ? job.context?.deadline : undefined
    if (timeout === undefined && deadline === undefined) return
    const { clock } = this.#options
    const left = timeout === undefined ? Number.POSITIVE_INFINITY : timeout
    const wanted = deadline === undefined ? Number.POSITIVE_INFINITY : Math.max(0, deadline - clock.now())
    if (left <= wanted) {
      job.limit = clock.schedule(left, () => this.#timeOut(job, left))
      return
    }
    job.limit = clock.schedule(wanted, () => {
      job.limit = undefined
      this.#leave(job)
      if (left === Number.POSITIVE_INFINITY) return
      job.limit = clock.schedule(left - wanted, () => this.#timeOut(job, left))
    })
  }

  /** The handler has ended. */
  end(job: Job): void {
    job.limit?.cancel()
    job.limit = undefined
    if (job.leftBehind) this.#leftBehind--
    job.leftBehind = false
  }

  /** The partition is gone: nobody is answered from here on that was not. */
  forget(job: Job): void {
    job.limit?.cancel()
    job.limit = undefined
  }

  #timeOut(job: Job, timeout: number): void {
    job.limit = undefined
    const { handling, context } = job
    const { warnings, steps, clock } = this.#options
    job.overdue = true
    const told = describe(job, steps, clock.monotonic())
    warnings.tell('a handler has not ended in time and its request is answered with an error', { ...told })
    if (handling?.leaveBehind) this.#leave(job)
    const message = `the handler has not ended within ${timeout} ms; whether it does its work is not known`
    context?.abandon(new DOMException(message, 'TimeoutError'))
    this.#options.conclude(job, {
      kind: 'error',
      code: remoteCodes.handlerTimeout,
      message,
      effect: 'unknown',
    })
  }

  /** Order by key is given up against this handler, and there is one more than `concurrency`. */
  #leave(job: Job): void {
    if (!job.hasTurn || this.#leftBehind >= this.#options.mostLeftBehind) return
    job.hasTurn = false
    job.leftBehind = true
    this.#leftBehind++
    this.#options.counters.leftBehind++
    this.#options.turns.done(job)
    // Whatever becomes of it, it is in no lane any more.
    job.lane = undefined
  }
}
