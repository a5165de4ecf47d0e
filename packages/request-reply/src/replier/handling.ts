/**
 * A record's way through the replier, from its turn to its outcome.
 *
 *     record ─▶ who asks, what for ─▶ record middleware ─▶ deadline, age ─▶ values and handler ─▶ outcome
 *               arrival.ts            record-middleware.ts  deadlines.ts    calling.ts
 *                  │ unanswerable, refused, unknown  ▲            │                │
 *                  └──────────(seen by it)───────────┴────────────┴── error reply ─┘
 *
 * What the outcome says is done in `execution.ts`.
 */
import type { Answers } from './answer.ts'
import { Arrivals } from './arrival.ts'
import { Calling } from './calling.ts'
import { Deadlines } from './deadlines.ts'
import type { HandledTopic } from './dispatch.ts'
import type { ReplierParts } from './extension.ts'
import { replyErrorFailure, unexpectedFailure } from './failures.ts'
import type { ReplierSettings } from './options.ts'
import type { Outcome } from './outcome.ts'
import { addToContext } from './middleware.ts'
import { throughRecordMiddleware, type AnyRecordMiddleware } from './record-middleware.ts'
import type { Handled, RequestRun } from './run.ts'
import type { ReplierCounters } from './stats.ts'
import { Steps } from './steps.ts'
import { TurnRequest, type Turn } from './turn.ts'
import type { Warnings } from '../warnings.ts'

export interface RequestHandlerOptions {
  readonly settings: ReplierSettings
  readonly topics: ReadonlyMap<string, HandledTopic>
  /** The record middleware of records that reach no operation. */
  readonly records: readonly AnyRecordMiddleware[]
  readonly answers: Answers
  /** What record middleware is given. */
  readonly parts: ReplierParts
  readonly counters: ReplierCounters
  readonly warnings: Warnings
}

export class RequestHandler {
  readonly #settings: ReplierSettings
  readonly #records: readonly AnyRecordMiddleware[]
  readonly #answers: Answers
  readonly #parts: ReplierParts
  readonly #warnings: Warnings
  readonly #steps: Steps
  readonly #deadlines: Deadlines
  readonly #arrivals: Arrivals
  readonly #calling: Calling

  constructor({ settings, topics, records, answers, counters, warnings, parts }: RequestHandlerOptions) {
    const { clock, clockTolerance: tolerance, maxAge, groupId, profile } = settings
    this.#settings = settings
    this.#records = records
    this.#answers = answers
    this.#parts = parts
    this.#warnings = warnings
    const steps = (this.#steps = new Steps(groupId, profile))
    const deadlines = (this.#deadlines = new Deadlines({ clock, tolerance, maxAge, counters, warnings }))
    this.#arrivals = new Arrivals({ settings, topics, answers, deadlines, steps, warnings })
    this.#calling = new Calling({ settings, answers, counters, steps, warnings })
  }

  /** Throws for nothing but a fault of the library itself. */
  handle(run: RequestRun): Handled {
    const now = this.#settings.clock.now()
    const turn = this.#arrivals.take(run, now)
    const { handling } = turn
    run.reached(handling, turn.to, turn.context)
    const records = handling?.records ?? this.#records
    turn.outcome = records.length === 0 ? this.#decide(turn, now) : this.#throughRecords(turn, records)
    return turn
  }

  #throughRecords(turn: Turn, records: readonly AnyRecordMiddleware[]): Promise<Outcome> {
    const { reserved, clock } = this.#settings
    let entered = false
    const inside = (): Outcome | Promise<Outcome> => {
      entered = true
      const decided = this.#decide(turn, clock.now())
      return checks.length === 0 ? decided : this.#checked(turn, checks, decided)
    }
    const checks: (() => Promise<void>)[] = []
    const add = (added: object, check: (() => Promise<void>) | undefined): void => {
      addToContext(turn.context, added)
      if (check !== undefined) checks.push(check)
    }
    const failed = (middleware: string, thrown: unknown): Outcome => {
      turn.error = thrown
      const step = this.#steps.at(turn.record, turn.attempt, turn.handling?.operation.name)
      this.#warnings.tell('a record middleware failed', { ...step, middleware }, thrown)
      const failure = replyErrorFailure(thrown) ?? unexpectedFailure(thrown, this.#settings.exposeErrors)
      return this.#answers.error(turn.record, turn.handling && turn.context, turn.handling, failure)
    }
    const request = new TurnRequest(turn, this.#parts)
    const outcome = throughRecordMiddleware(records, request, inside, add, reserved, failed)
    return outcome.then((decided) => {
      if (!entered) turn.run.untried()
      return decided
    })
  }

  /** Whether the work that the handler says it has done stands. */
  async #checked(
    turn: Turn,
    checks: readonly (() => Promise<void>)[],
    deciding: Outcome | Promise<Outcome>,
  ): Promise<Outcome> {
    const decided = await deciding
    const isDone = decided.kind === 'error' ? decided.effect === 'done' : decided.kind !== 'passed over'
    if (!isDone) return decided
    try {
      for (const check of checks) await check()
      return decided
    } catch (error) {
      turn.error = error
      const step = this.#steps.at(turn.record, turn.attempt, turn.handling?.operation.name)
      this.#warnings.tell('what a handler has done does not stand', { ...step }, error)
      return this.#answers.error(
        turn.record,
        turn.context,
        turn.handling,
        unexpectedFailure(error, this.#settings.exposeErrors),
      )
    }
  }

  #decide(turn: Turn, now: number): Outcome | Promise<Outcome> {
    if (turn.refused !== undefined) return turn.refused
    const { record, context, handling, run } = turn
    const failure = this.#deadlines.refusal(record, context.deadline, run.appendedAfter, now, run.attempt)
    if (failure !== undefined) return this.#answers.error(record, context, handling, failure)
    turn.error = undefined
    return this.#calling.call(turn)
  }
}
