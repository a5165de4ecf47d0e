/**
 * What many callers want written, as few statements: what is asked for while a statement is on its way goes with the
 * next one.
 *
 *   add ──▶ waiting ── pace ──▶ on its way: one statement, at most 500 steps and 4 MiB ──▶ each caller told
 *              ▲                                   │
 *              └────────── more was added ─────────┘
 */
import { OptionsError, systemClock, type Clock } from '@milena/request-reply'
import { clockProblems, kindOf, unknownOptions } from './given.ts'
import { within } from './within.ts'

export interface GroupCommitOptions<Step, Result> {
  /**
   * Two steps of one id are never in one statement: the second one has to find what the first one did. A statement's steps
   * are in the order of their ids, so that processes that lock the same rows lock them in one order. Without it they are
   * as they came.
   */
  readonly idOf?: ((step: Step) => string) | undefined
  /** Carries out all of them or none, in the given order; resolves with the result of each, in that order. */
  readonly carryOut: (steps: readonly Step[]) => Promise<readonly Result[]>
  /**
   * Milliseconds from the beginning of a statement to that of the next, at least; default 0. A step that comes later than
   * that goes as soon as all that has arrived with it has been handled; only where steps are frequent do they wait for company.
   */
  readonly pace?: number | undefined
  /** Milliseconds that a statement may take; default 5 000. What has taken longer rejects, and holds up nobody any more. */
  readonly timeout?: number | undefined
  /** Bytes that a step adds to a statement, about; default 0. */
  readonly bytesOf?: ((step: Step) => number) | undefined
  /** For simulations; default: the machine's. */
  readonly clock?: Clock | undefined
}

interface Waiting<Step, Result> {
  readonly id: string | undefined
  readonly step: Step
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

/** They bound a statement's size, and how long its rows are locked. */
const mostTogether = 500
const mostBytes = 4 * 1024 * 1024

/** What PostgreSQL says of what it was given, not of itself: bad data, a constraint, a conflict, a limit, a trigger. */
const refusals: ReadonlySet<string> = new Set(['22', '23', '40', '44', '54', '55', 'P0'])

const known: readonly (keyof GroupCommitOptions<never, never>)[] = [
  'idOf',
  'carryOut',
  'pace',
  'timeout',
  'bytesOf',
  'clock',
]

/**
 * **Guarantee**: each step is carried out at most once, or rejects. What PostgreSQL refuses rejects the step that is at
 * fault, and not the others of its statement. **Not guaranteed**: that a step which rejects was not carried out, when the
 * connection was lost or PostgreSQL has not answered in time.
 */
export class GroupCommit<Step, Result = void> {
  readonly #options: GroupCommitOptions<Step, Result>
  readonly #clock: Clock
  #waiting: Waiting<Step, Result>[] = []
  /** From the first step on until its statement has ended. */
  #busy = false
  #onWay = 0
  /** When the last statement began, on the monotonic clock. */
  #begun = -Infinity
  #onIdle: (() => void)[] = []

  /** @throws OptionsError `MILENA_OPTIONS_INVALID` */
  constructor(options: GroupCommitOptions<Step, Result>) {
    const problems = unknownOptions('GroupCommit', options, known)
    if (typeof options.carryOut !== 'function')
      problems.push(`carryOut must be a function, not ${kindOf(options.carryOut)}`)
    for (const name of ['idOf', 'bytesOf'] as const)
      if (options[name] !== undefined && typeof options[name] !== 'function')
        problems.push(`${name} must be a function, not ${kindOf(options[name])}`)
    for (const name of ['pace', 'timeout'] as const) {
      const value = options[name]
      if (value !== undefined && !(typeof value === 'number' && value >= 0))
        problems.push(`${name} must be a number of milliseconds, not ${kindOf(value)}`)
    }
    problems.push(...clockProblems(options.clock))
    if (problems.length > 0) throw new OptionsError('GroupCommit', problems)
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  /** Steps that wait or are on their way. */
  get size(): number {
    return this.#waiting.length + this.#onWay
  }

  /** Resolves when the step is committed. */
  add(step: Step): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ id: this.#options.idOf?.(step), step, resolve, reject })
      if (!this.#busy) this.#begin()
    })
  }

  /** Resolves when nothing waits any more, and everybody was told. */
  async idle(): Promise<void> {
    if (this.#busy) await new Promise<void>((resolve) => this.#onIdle.push(resolve))
    await new Promise((resolve) => setImmediate(resolve))
  }

  #begin(): void {
    this.#busy = true
    const wait = this.#begun + (this.#options.pace ?? 0) - this.#clock.monotonic()
    if (wait > 0) this.#clock.schedule(Math.ceil(wait), () => this.#go())
    else setImmediate(() => this.#go())
  }

  #go(): void {
    this.#begun = this.#clock.monotonic()
    const group = this.#take()
    this.#onWay = group.length
    void this.#write(group).then(() => this.#end())
  }

  #end(): void {
    this.#busy = false
    this.#onWay = 0
    if (this.#waiting.length > 0) this.#begin()
    else for (const resolve of this.#onIdle.splice(0)) resolve()
  }

  #take(): Waiting<Step, Result>[] {
    const { idOf, bytesOf } = this.#options
    const taken: Waiting<Step, Result>[] = []
    const left: Waiting<Step, Result>[] = []
    const ids = new Set<string>()
    let bytes = 0
    let isFull = false
    for (const one of this.#waiting) {
      const { id } = one
      bytes += bytesOf?.(one.step) ?? 0
      isFull ||= taken.length === mostTogether || (taken.length > 0 && bytes > mostBytes)
      if (isFull || ids.has(id!)) left.push(one)
      else {
        taken.push(one)
        if (id !== undefined) ids.add(id)
      }
    }
    this.#waiting = left
    return idOf === undefined ? taken : taken.toSorted((a, b) => (a.id! < b.id! ? -1 : 1))
  }

  /** Never rejects. */
  async #write(group: readonly Waiting<Step, Result>[]): Promise<void> {
    const { carryOut, timeout = 5_000 } = this.#options
    try {
      const done = carryOut(group.map(({ step }) => step))
      const results = await within(this.#clock, timeout, done)
      for (const [place, { resolve }] of group.entries()) resolve(results[place]!)
    } catch (error) {
      // Nothing was written, and the others are not to suffer for the one that is at fault.
      if (isRefusal(error) && group.length > 1) for (const one of group) await this.#write([one])
      else for (const { reject } of group) reject(error)
    }
  }
}

function isRefusal(error: unknown): boolean {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' && code.length === 5 && refusals.has(code.slice(0, 2))
}
