import { boundedDelay, type Clock } from '../clock.ts'
import type { HandlingOutcome } from '../diagnostics.ts'
import type { Addressee } from './addressee.ts'
import type { Delivery } from './delivery.ts'
import type { Handling } from './dispatch.ts'
import type { Finishing } from './finishing.ts'
import type { Job } from './partition-work.ts'
import type { KeyLanes } from './key-lanes.ts'
import type { ErrorOutcome, Outcome, PassedOverOutcome } from './outcome.ts'
import type { Handled, RequestRun } from './run.ts'
import type { Standstills } from './standstills.ts'
import type { ReplierCounters } from './stats.ts'
import type { Steps } from './steps.ts'
import { TimeLimits } from './time-limits.ts'
import type { Warnings } from './warnings.ts'
import type { WireProfile } from '../wire/profile.ts'

export interface ExecutionOptions {
  readonly clock: Clock
  readonly handler: { handle(run: RequestRun): Handled | Promise<Handled> }
  readonly profile: WireProfile
  readonly delivery: Delivery
  readonly finishing: Finishing
  readonly standstills: Standstills
  readonly turns: KeyLanes<Job>
  readonly counters: ReplierCounters
  readonly warnings: Warnings
  readonly steps: Steps
  readonly handlerTimeout: number | undefined
  readonly concurrency: number
}

/** Has a record handled when its turn has come, and does what its outcome says. */
export class Execution {
  readonly #options: ExecutionOptions
  readonly limits: TimeLimits

  constructor(options: ExecutionOptions) {
    this.#options = options
    const { clock, turns, counters, warnings, steps, handlerTimeout, concurrency } = options
    this.limits = new TimeLimits({
      clock,
      turns,
      counters,
      warnings,
      steps,
      handlerTimeout,
      mostLeftBehind: concurrency,
      conclude: (job, outcome) => this.#timedOut(job, outcome),
    })
  }

  /** Its turn has come. Never throws. */
  begin(job: Job): void {
    const { clock, handler } = this.#options
    job.work.begun(job)
    job.hasTurn = true
    job.phase = 'handling'
    job.beganAt = clock.monotonic()
    let handling: Handled | Promise<Handled>
    try {
      handling = this.#unhandled(job) ?? handler.handle(job)
    } catch (error) {
      return this.#ended(job, this.#failed(job, error))
    }
    if (!(handling instanceof Promise)) return this.#ended(job, handling)
    this.limits.begin(job)
    handling.then(
      (handled) => this.#ended(job, handled),
      (error: unknown) => this.#ended(job, this.#failed(job, error)),
    )
  }

  /** What has its outcome without being handled. */
  #unhandled(job: Job): Handled | undefined {
    const { work, unreadable, record } = job
    if (unreadable !== undefined) {
      const outcome = { kind: 'passed over', reason: 'unreadable', detail: unreadable.reason } as const
      return { outcome, to: undefined, handling: undefined }
    }
    const { finished } = work.past
    if (!job.redelivered || finished.size === 0) return undefined
    const asked = this.#options.profile.readReplyRequest(record.headers)
    if (!finished.has(record, typeof asked === 'object' ? asked.correlationId : undefined)) return undefined
    this.#tellRepeated(job)
    job.repeated = true
    return { outcome: { kind: 'done' }, to: undefined, handling: undefined }
  }

  #ended(job: Job, { outcome, handling, to, error }: Handled): void {
    if (job.limit !== undefined || job.leftBehind || job.overdue) this.limits.end(job)
    if (job.overdue) {
      this.#letTurnGo(job)
      // The work was done after all.
      if (outcome.kind === 'reply' && to !== undefined)
        void this.#options.delivery.deliverLate(job, to, outcome)
      return
    }
    job.thrown = error
    job.handledAt = this.#options.clock.monotonic()
    void this.#carryOut(job, outcome, handling, to)
  }

  /** With the handling's and the delivery's, one of the three async functions of a request. Never rejects. */
  async #carryOut(
    job: Job,
    decided: Outcome,
    handling: Handling | undefined,
    to: Addressee | undefined,
  ): Promise<void> {
    const { delivery, finishing, warnings } = this.#options
    try {
      let outcome = decided
      if (outcome.kind === 'abandoned') {
        return this.#stop(job, new Error('abandoned, though its partition is still held'))
      }
      if (outcome.kind === 'stop') return this.#stop(job, outcome.error)
      if (outcome.kind === 'later') return this.#later(job, outcome.notBefore)
      if (outcome.kind === 'error' && to === undefined) outcome = failedOneWay(outcome)
      let ended: HandlingOutcome = outcome.kind === 'handed over' ? 'handed-over' : 'done'
      let reason = job.repeated ? 'repeated' : undefined
      if (to !== undefined && (outcome.kind === 'reply' || outcome.kind === 'error')) {
        job.phase = 'delivering'
        // The reply is on its way before the next request of its key begins …
        const delivering = delivery.deliver(job, to, outcome)
        // (where its partition is gone the next one may be itself, come again: that is to know that it was answered)
        if (!job.overdue && !job.work.gone) this.#letTurnGo(job)
        // … and acknowledged before its own request is finished.
        const delivered = await delivering
        if (delivered === 'given up') {
          finishing.leave(job, 'abandoned')
          return this.#letTurnGo(job)
        }
        ended = outcome.kind === 'error' ? 'error-replied' : 'replied'
        if (outcome.kind === 'error') reason = outcome.code
        if (delivered !== 'delivered') outcome = delivered
      } else if (!job.overdue) this.#letTurnGo(job)
      if (outcome.kind === 'passed over') {
        ended = 'passed-over'
        reason = outcome.reason
      }
      const finished = finishing.finish(job, outcome, ended, reason, handling, to)
      if (finished !== undefined) await finished
      if (!job.overdue) this.#letTurnGo(job)
    } catch (error) {
      warnings.tell('a request was left as it is', whereOf(job), error)
    }
  }

  #timedOut(job: Job, outcome: ErrorOutcome): void {
    job.handledAt = this.#options.clock.monotonic()
    void this.#carryOut(job, outcome, job.handling, job.to)
  }

  #stop(job: Job, error: Error): void {
    if (!job.work.gone) return this.#options.standstills.stop(job, error)
    this.#letTurnGo(job)
    this.#options.finishing.leave(job, 'abandoned')
  }

  /** It waits in its key's lane, without a slot, until its time has come. */
  #later(job: Job, notBefore: number): void {
    const { work } = job
    const { turns } = this.#options
    if (work.gone) {
      this.#letTurnGo(job)
      return this.#options.finishing.leave(job, 'abandoned')
    }
    job.phase = 'parked'
    job.attempt++
    this.#options.standstills.end(job)
    this.#wake(job, notBefore)
    work.rests(job)
    if (!job.hasTurn) return
    job.hasTurn = false
    turns.park()
  }

  #wake(job: Job, notBefore: number): void {
    const { work } = job
    const { clock, turns } = this.#options
    const timer = clock.schedule(boundedDelay(notBefore - clock.now()), () => {
      if (clock.now() < notBefore) return this.#wake(job, notBefore)
      work.parked.delete(job)
      job.phase = 'waiting'
      turns.ready(job)
    })
    work.parked.set(job, { notBefore, timer })
  }

  #letTurnGo(job: Job): void {
    if (!job.hasTurn) return
    job.hasTurn = false
    this.#options.turns.done(job)
  }

  #failed(job: Job, error: unknown): Handled {
    this.#options.warnings.tell('a request could not be handled', whereOf(job), error)
    const outcome = { kind: 'passed over', reason: 'internal', detail: 'a fault of the library' } as const
    return { outcome, to: undefined, handling: undefined }
  }

  #tellRepeated({ work, offset }: Job): void {
    this.#options.counters.repeated++
    if (work.toldRepeats) return
    work.toldRepeats = true
    this.#options.warnings.tell(
      'requests came again that were finished here, since their partition was lost before the commit; they are not handled again',
      { topic: work.topic, partition: work.partition, offset },
    )
  }
}

/** Nobody could be told of the failure, so somebody must be. */
function failedOneWay({ code, message }: ErrorOutcome): PassedOverOutcome {
  return { kind: 'passed over', reason: 'failed-one-way', detail: `${code}: ${message}` }
}

function whereOf({ work: { topic, partition }, offset }: Job): Readonly<Record<string, unknown>> {
  return { topic, partition, offset }
}
