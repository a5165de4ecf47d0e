import { boundedDelay, type Clock } from '../clock.ts'
import type { HandlingOutcome } from '../diagnostics.ts'
import type { Delivery } from './delivery.ts'
import type { Finishing } from './finishing.ts'
import type { Job } from './partition-work.ts'
import type { KeyLanes } from './key-lanes.ts'
import type { ErrorOutcome, Outcome, PassedOverOutcome } from './outcome.ts'
import type { Handled, RequestRun } from './run.ts'
import type { Standstills } from './standstills.ts'
import type { ReplierCounters } from './stats.ts'
import type { Steps } from './steps.ts'
import { TimeLimits } from './time-limits.ts'
import { abandoned } from './turn.ts'
import type { Warnings } from './warnings.ts'
import type { WireProfile } from '../wire/profile.ts'

export interface ExecutionOptions {
  readonly clock: Clock
  readonly handler: { handle(run: RequestRun): Handled }
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
    let handled: Handled
    try {
      handled = this.#unhandled(job) ?? handler.handle(job)
    } catch (error) {
      handled = { outcome: this.#failed(job, error), to: undefined, handling: undefined }
    }
    if (handled.outcome instanceof Promise) this.limits.begin(job)
    void this.#carryOut(job, handled)
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

  /**
   * The one async function of a request beside its handler. Never rejects. All that it knows is kept for as long as the
   * reply is under way: so what need not wait is done elsewhere.
   *
   * @param timedOut this is not the handling's own outcome, which has yet to come
   */
  async #carryOut(job: Job, handled: Handled, timedOut = false): Promise<void> {
    const { delivery } = this.#options
    try {
      let decided = handled.outcome
      if (decided instanceof Promise) {
        try {
          decided = await decided
        } catch (error) {
          decided = this.#failed(job, error)
        }
      }
      if (!timedOut && !this.#goesOn(job, handled, (decided = this.#ended(job, handled, decided)))) return
      const { to } = handled
      if (to === undefined || (decided.kind !== 'reply' && decided.kind !== 'error')) {
        if (!job.overdue) this.#letTurnGo(job)
        const finished = this.#finish(job, handled, decided)
        if (finished !== undefined) await finished
      } else {
        job.phase = 'delivering'
        // The reply is on its way before the next request of its key begins …
        const sending = delivery.start(job, to, decided)
        // (where its partition is gone the next one may be itself, come again: that is to know that it was answered)
        if (!job.overdue && !job.work.gone) this.#letTurnGo(job)
        // … and acknowledged before its own request is finished.
        let delivered: 'delivered' | 'given up' | PassedOverOutcome
        if (!('then' in sending)) delivered = sending
        else {
          try {
            delivered = delivery.acknowledged(job, decided, await sending)
          } catch (error) {
            delivered = await delivery.goOn(job, to, decided, error)
          }
        }
        const finished = this.#finish(job, handled, decided, delivered)
        if (finished !== undefined) await finished
      }
      if (!job.overdue) this.#letTurnGo(job)
    } catch (error) {
      this.#options.warnings.tell('a request was left as it is', whereOf(job), error)
    }
  }

  /**
   * The handling has its outcome. Whoever has the partition by now gets the record, too: what went wrong here says nothing
   * of what it will come to there; a reply that was made is sent, for the work was done.
   */
  #ended(job: Job, { to, context, error }: Handled, outcome: Outcome): Outcome {
    if (job.limit !== undefined || job.leftBehind || job.overdue) this.limits.end(job)
    context?.release()
    job.thrown = error
    if (!job.overdue) job.handledAt = this.#options.clock.monotonic()
    if (outcome.kind !== 'error' && outcome.kind !== 'passed over') return outcome
    if (job.work.gone) return abandoned
    return outcome.kind === 'error' && to === undefined ? failedOneWay(outcome) : outcome
  }

  /** False when there is nothing to be sent or finished, or not now. */
  #goesOn(job: Job, { to }: Handled, outcome: Outcome): boolean {
    if (job.overdue) {
      this.#letTurnGo(job)
      // The work was done after all.
      if (outcome.kind === 'reply' && to !== undefined)
        void this.#options.delivery.deliverLate(job, to, outcome)
    } else if (outcome.kind === 'abandoned') {
      this.#stop(job, new Error('abandoned, though its partition is still held'))
    } else if (outcome.kind === 'stop') this.#stop(job, outcome.error)
    else if (outcome.kind === 'later') this.#later(job, outcome.notBefore)
    else return true
    return false
  }

  /** A promise only where a hook is called. @param delivered what became of its reply, if it has one */
  #finish(
    job: Job,
    { handling, to }: Handled,
    decided: Outcome,
    delivered?: 'delivered' | 'given up' | PassedOverOutcome,
  ): void | Promise<void> {
    const { finishing } = this.#options
    if (delivered === 'given up') return finishing.leave(job, 'abandoned')
    let ended: HandlingOutcome = decided.kind === 'handed over' ? 'handed-over' : 'done'
    let reason = job.repeated ? 'repeated' : undefined
    if (delivered !== undefined) {
      ended = decided.kind === 'error' ? 'error-replied' : 'replied'
      if (decided.kind === 'error') reason = decided.code
    }
    const outcome = typeof delivered === 'object' ? delivered : decided
    if (outcome.kind === 'passed over') {
      ended = 'passed-over'
      reason = outcome.reason
    }
    return finishing.finish(job, outcome, ended, reason, handling, to)
  }

  #timedOut(job: Job, outcome: ErrorOutcome): void {
    job.handledAt = this.#options.clock.monotonic()
    const { handling, to } = job
    const told = to === undefined ? failedOneWay(outcome) : outcome
    void this.#carryOut(job, { outcome: told, handling, to }, true)
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

  #failed(job: Job, error: unknown): Outcome {
    this.#options.warnings.tell('a request could not be handled', whereOf(job), error)
    return { kind: 'passed over', reason: 'internal', detail: 'a fault of the library' }
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
