import { boundedDelay, type Clock } from '../clock.ts'
import type { HandlingOutcome } from '../diagnostics.ts'
import type { Delivery } from './delivery.ts'
import type { Finishing } from './finishing.ts'
import type { Job } from './partition-work.ts'
import type { KeyLanes } from './key-lanes.ts'
import type { ErrorOutcome, Outcome, PassedOverOutcome, ReplyOutcome } from './outcome.ts'
import type { RecordPosition } from '../transport/transport.ts'
import type { Handled, RequestRun } from './run.ts'
import type { Standstills } from './standstills.ts'
import type { ReplierCounters } from './stats.ts'
import type { Steps } from './steps.ts'
import { TimeLimits } from './time-limits.ts'
import { abandoned } from './turn.ts'
import type { Warnings } from '../warnings.ts'
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
    job.unlimited = false
    let handled: Handled
    try {
      handled = this.#unhandled(job) ?? handler.handle(job)
    } catch (error) {
      handled = { outcome: this.#failed(job, error), to: undefined, handling: undefined }
    }
    const { outcome } = handled
    if (!(outcome instanceof Promise)) return this.#ended(job, handled, outcome)
    this.limits.begin(job)
    outcome.then(
      (decided) => this.#ended(job, handled, decided),
      (error: unknown) => this.#ended(job, handled, this.#failed(job, error)),
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

  /** The handling has its outcome. Never throws. */
  #ended(job: Job, handled: Handled, outcome: Outcome): void {
    try {
      if (job.limit !== undefined || job.leftBehind || job.overdue) this.limits.end(job)
      handled.context?.release()
      job.thrown = handled.error
      if (!job.overdue) job.handledAt = this.#options.clock.monotonic()
      const decided = decide(job, handled, outcome)
      if (this.#goesOn(job, handled, decided)) this.#carryOut(job, handled, decided)
    } catch (error) {
      this.#tellLeft(job, error)
    }
  }

  /**
   * In plain functions: an async one keeps all that it knows for as long as it waits, and there is one for each request
   * then.
   */
  #carryOut(job: Job, handled: Handled, decided: Outcome): void {
    const { to } = handled
    if (to === undefined || (decided.kind !== 'reply' && decided.kind !== 'error')) {
      if (!job.overdue) this.#letTurnGo(job)
      return this.#finish(job, handled, decided)
    }
    const { delivery } = this.#options
    job.phase = 'delivering'
    // The reply is on its way before the next request of its key begins …
    const sending = delivery.start(job, to, decided)
    // (where its partition is gone the next one may be itself, come again: that is to know that it was answered)
    if (!job.overdue && !job.work.gone) this.#letTurnGo(job)
    // … and acknowledged before its own request is finished.
    if (!('then' in sending)) return this.#finish(job, handled, decided, sending)
    sending.then(
      (position) => this.#sent(job, handled, decided, position),
      (error: unknown) =>
        delivery
          .goOn(job, to, decided, error)
          .then((delivered) => this.#finish(job, handled, decided, delivered))
          .catch((fault: unknown) => this.#tellLeft(job, fault)),
    )
  }

  #sent(job: Job, handled: Handled, decided: ReplyOutcome | ErrorOutcome, position: RecordPosition): void {
    try {
      this.#finish(job, handled, decided, this.#options.delivery.acknowledged(job, decided, position))
    } catch (error) {
      this.#tellLeft(job, error)
    }
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

  /** @param delivered what became of its reply, if it has one */
  #finish(
    job: Job,
    { handling, to }: Handled,
    decided: Outcome,
    delivered?: 'delivered' | 'given up' | PassedOverOutcome,
  ): void {
    const { finishing } = this.#options
    if (delivered === 'given up') {
      finishing.leave(job, 'abandoned')
      return this.#letTurnGo(job)
    }
    let ended: HandlingOutcome = decided.kind === 'handed over' ? 'handed-over' : 'done'
    let reason = job.repeated ? 'repeated' : undefined
    if (decided.kind === 'handed over') this.#options.counters.handedOver++
    if (delivered !== undefined) {
      ended = decided.kind === 'error' ? 'error-replied' : 'replied'
      if (decided.kind === 'error') reason = decided.code
    }
    const outcome = typeof delivered === 'object' ? delivered : decided
    if (outcome.kind === 'passed over') {
      ended = 'passed-over'
      reason = outcome.reason
    }
    const hooked = finishing.finish(job, outcome, ended, reason, handling, to)
    if (job.overdue) return
    if (hooked === undefined) this.#letTurnGo(job)
    else void hooked.then(() => this.#letTurnGo(job)).catch((error: unknown) => this.#tellLeft(job, error))
  }

  #timedOut(job: Job, outcome: ErrorOutcome): void {
    job.handledAt = this.#options.clock.monotonic()
    const { handling, to } = job
    const told = to === undefined ? failedOneWay(outcome) : outcome
    try {
      this.#carryOut(job, { outcome: told, handling, to }, told)
    } catch (error) {
      this.#tellLeft(job, error)
    }
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
    job.again()
    this.#options.counters.retried++
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

  #tellLeft(job: Job, error: unknown): void {
    this.#options.warnings.tell('a request was left as it is', whereOf(job), error)
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

/**
 * Whoever has the partition by now gets the record, too: what went wrong here says nothing of what it will come to there.
 * A reply that was made is sent, for the work was done.
 */
function decide({ work }: Job, { to }: Handled, outcome: Outcome): Outcome {
  if (outcome.kind !== 'error' && outcome.kind !== 'passed over') return outcome
  if (work.gone) return abandoned
  return outcome.kind === 'error' && to === undefined ? failedOneWay(outcome) : outcome
}

/** Nobody could be told of the failure, so somebody must be. */
function failedOneWay({ code, message }: ErrorOutcome): PassedOverOutcome {
  return { kind: 'passed over', reason: 'failed-one-way', detail: `${code}: ${message}` }
}

function whereOf({ work: { topic, partition }, offset }: Job): Readonly<Record<string, unknown>> {
  return { topic, partition, offset }
}
