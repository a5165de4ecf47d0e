/**
 * Takes one saga as far as it goes now. Each try of a function or a request is written down before it begins, and its end
 * together with the beginning of what follows:
 *
 *     claimed ─▶ next move? ── a function, a request ─▶ save "begun" ─▶ try it ─┐
 *                    ▲  │                                                       │ not saved yet: goes with the next save
 *                    │  ├── in the transaction ─▶ do it and save its end ───────┤
 *                    │  ├── a command ─▶ outbox and save "sent", free           │
 *                    │  ├── a pause ─▶ save, free until then                    │
 *                    │  └── none ─▶ save its end, free                          │
 *                    └──────────────────────────────────────────────────────────┘
 *
 * A process that ends anywhere in between leaves what was saved last; `takenUp` makes of it what can be known.
 */
import { validate } from '../contract/payload.ts'
import { listIssues } from '../errors.ts'
import { wordsOf } from '../words.ts'
import { numbersOf } from '../retry/options.ts'
import { WorkFailed, type ClaimedStore, type Saved } from './claimed.ts'
import type { AnySaga, AnyStep } from './definition.ts'
import { toDocument } from './documents.ts'
import { failureOf, type Failure } from './failures.ts'
import type { SagasSettings } from './options.ts'
import {
  actionBegun,
  actionDone,
  actionFailed,
  actionSent,
  endedSaga,
  inTrouble,
  nextMove,
  outOfTrouble,
  pastDeadline,
  resultsBefore,
  stepIn,
  takenUp,
  undoBegun,
  undoDone,
  undoFailed,
  undoSent,
  type Advanced,
} from './progress.ts'
import type { SagaStatus } from './status.ts'
import type { ClaimedSaga, SagaClaim, SavedSaga } from './store.ts'
import { requestOf, tryOnce, type AnyContext, type Tried } from './trying.ts'
import type { CommandWork, StepFunction, OperationWork, StepWork, TransactionWork } from './work.ts'

type Phase = 'act' | 'undo'

/** A step's end that came from outside: a command's reply. */
export type Event =
  | { readonly kind: 'done'; readonly step: string; readonly result: unknown }
  | { readonly kind: 'failed'; readonly step: string; readonly failure: Failure }

export interface DriverHooks {
  /** A change that was made. */
  saved(status: SagaStatus): void
  /** It is stuck, as of this change. */
  stuck(status: SagaStatus): void
  /** It is due again in so many milliseconds. */
  dueIn(milliseconds: number): void
  /** Whether nothing more is to be begun. */
  closing(): boolean
  /** Fires when what is running is to be given up: closing, or others may have it by now. */
  stop(): AbortSignal
  /** It was: the saga is left as it is, in our name. */
  left(): void
}

/** Milliseconds until a saga that cannot be worked on is looked at again. */
const troublePause = 60_000

export class Driver {
  readonly #settings: SagasSettings
  readonly #store: ClaimedStore
  readonly #hooks: DriverHooks
  readonly #saga: AnySaga
  readonly #chance: () => number
  #claim: SagaClaim
  #status: SagaStatus
  #input: unknown
  #stuck: boolean

  constructor(
    settings: SagasSettings,
    store: ClaimedStore,
    hooks: DriverHooks,
    saga: AnySaga,
    { status, ...claim }: Omit<ClaimedSaga, 'dueIn'>,
  ) {
    this.#settings = settings
    this.#store = store
    this.#hooks = hooks
    this.#saga = saga
    this.#chance = numbersOf(settings.random)
    this.#claim = claim
    this.#status = status
    this.#stuck = status.stuckSince !== undefined
  }

  /** A saga whose first try is written down already. */
  async driveFirst(step: AnyStep): Promise<void> {
    const trouble = await this.#readInput()
    if (trouble !== undefined) return this.#cannot(trouble)
    const work = workOf('act', step)
    if (!isTried(work)) return this.#goOn(undefined)
    const next = await this.#tryBegun('act', step, work)
    if (next === undefined) return
    this.#status = next.status
    return this.#goOn(next.pause)
  }

  /**
   * Until it pauses, waits, ends, or is somebody else's.
   *
   * @param event what is known of the step that waits; without one nothing more is to be waited for
   */
  async drive(event?: Event): Promise<void> {
    this.#status = outOfTrouble(this.#status)
    const trouble = await this.#readInput()
    if (trouble !== undefined) return this.#cannot(trouble)
    const advanced =
      event === undefined ? takenUp(this.#saga, this.#status, this.#chance) : this.#apply(event)
    this.#status = advanced.status
    // A pause is what follows a failed try; one that was taken up as failed by its time has waited.
    return this.#goOn(event === undefined ? undefined : advanced.pause)
  }

  async #goOn(pausing: number | undefined): Promise<void> {
    let pause = pausing
    for (;;) {
      if (pause !== undefined) return this.#free(pause)
      const move = nextMove(this.#saga, this.#status)
      if (move.kind === 'cannot') return this.#cannot(move.why)
      if (move.kind === 'end') {
        const ended = endedSaga(this.#status, move.state, this.#now())
        await this.#save(ended, { dueIn: undefined })
        return
      }
      if (move.kind === 'act' && this.#isPastDeadline()) {
        this.#status = pastDeadline(this.#status)
        continue
      }
      if (this.#hooks.closing()) return this.#free(0)
      const next = await this.#work(move.kind, move.step)
      if (next === undefined) return
      this.#status = next.status
      pause = next.pause
    }
  }

  /** What follows; `undefined`: the saga is free, or not ours any more. */
  async #work(phase: Phase, step: AnyStep): Promise<Advanced | undefined> {
    const work = workOf(phase, step)
    if (isTried(work)) {
      if (!(await this.#save(this.#begun(phase, step)))) return undefined
      return this.#tryBegun(phase, step, work)
    }
    try {
      return await (work.kind === 'transaction'
        ? this.#inTransaction(phase, step, work)
        : this.#send(phase, step, work))
    } catch (thrown) {
      if (!(thrown instanceof WorkFailed)) throw thrown
      // It was rolled back: this try did nothing. It counts, with the save that follows.
      const failure = failureOf(thrown.thrown, 'none')
      return this.#failed(phase, step, this.#begun(phase, step), { ...failure, effect: 'none' })
    }
  }

  async #tryBegun(phase: Phase, step: AnyStep, work: TriedWork): Promise<Advanced | undefined> {
    const { clock, requester, maxBytes } = this.#settings
    const timeout = (phase === 'act' ? step.options.timeout : step.options.compensation?.timeout) ?? 30_000
    const options = { clock, requester, timeout, maxBytes, stop: this.#hooks.stop() }
    const tried: Tried = await tryOnce(work, (signal) => this.#context(phase, step, signal), options)
    if (tried.kind === 'stopped') {
      this.#hooks.left()
      return undefined
    }
    if (tried.kind === 'failed') return this.#failed(phase, step, this.#status, tried.failure)
    return { status: this.#done(phase, step, this.#status, tried.result) }
  }

  async #inTransaction(
    phase: Phase,
    step: AnyStep,
    work: TransactionWork<never, unknown, never>,
  ): Promise<Advanced | undefined> {
    const begun = this.#begun(phase, step)
    const saved = await this.#change(undefined, async (transaction) => {
      const given = await this.#ownPart(async () => {
        const context = this.#context(phase, step, this.#hooks.stop(), begun)
        const result = await work.run(context as never, transaction as never)
        return toDocument('the result', result, this.#settings.maxBytes)
      })
      return this.#done(phase, step, begun, given)
    })
    return saved ? { status: this.#status } : undefined
  }

  async #send(phase: Phase, step: AnyStep, work: CommandWork<never, unknown>): Promise<undefined> {
    const begun = this.#begun(phase, step)
    // The same at each try: whichever try's reply comes first ends the step.
    const before = stepIn(this.#status, step)
    const known = phase === 'act' ? before?.correlationId : before?.compensationCorrelationId
    const correlationId = known ?? this.#settings.random(16).toString('hex')
    const sent =
      phase === 'act'
        ? { status: actionSent(step, this.#status, correlationId), pause: step.options.timeout ?? 30_000 }
        : undoSent(step, this.#status, correlationId, this.#now(), this.#chance)
    const dueIn = sent.pause ?? 0
    const saved = await this.#change({ dueIn }, async (transaction) => {
      await this.#ownPart(async () => {
        const context = this.#context(phase, step, this.#hooks.stop(), begun)
        const { operation, value } = requestOf(work, context)
        const topic = typeof work.replyTo === 'function' ? work.replyTo(context as never) : work.replyTo
        const { sagaId: key, idempotencyKey } = context
        const options = {
          key,
          idempotencyKey,
          correlationId: Buffer.from(correlationId, 'hex'),
          replyTo: { topic },
        }
        await this.#settings.outbox!.add(transaction, operation, value as never, options)
      })
      return sent.status
    })
    if (saved) this.#hooks.dueIn(dueIn)
    return undefined
  }

  /** Runs the application's part of a transaction: what it throws makes the try fail, and is no trouble of the store's. */
  async #ownPart<Result>(run: () => Promise<Result>): Promise<Result> {
    try {
      return await run()
    } catch (thrown) {
      throw new WorkFailed(thrown)
    }
  }

  #begun(phase: Phase, step: AnyStep): SagaStatus {
    return phase === 'act' ? actionBegun(step, this.#status) : undoBegun(step, this.#status, this.#now())
  }

  #done(phase: Phase, step: AnyStep, status: SagaStatus, result: unknown): SagaStatus {
    return phase === 'act' ? actionDone(step, status, result) : undoDone(step, status)
  }

  #failed(phase: Phase, step: AnyStep, status: SagaStatus, failure: Failure): Advanced {
    return phase === 'act'
      ? actionFailed(step, status, failure, this.#chance)
      : undoFailed(step, status, failure, this.#now(), this.#chance)
  }

  #apply(event: Event): Advanced {
    const step = this.#saga.steps.find(({ name }) => name === event.step)!
    const phase = this.#status.state === 'running' ? 'act' : 'undo'
    if (event.kind === 'failed') {
      return phase === 'act'
        ? actionFailed(step, this.#status, event.failure, this.#chance)
        : undoFailed(step, this.#status, event.failure, this.#now(), this.#chance)
    }
    return { status: this.#done(phase, step, this.#status, event.result) }
  }

  /** @param status the one that the try is made in */
  #context(phase: Phase, step: AnyStep, signal: AbortSignal, status: SagaStatus = this.#status): AnyContext {
    const { id } = status
    const { attempts, compensations, result, effect } = stepIn(status, step)!
    const key = `${id}:${step.name}`
    const context = {
      sagaId: id,
      input: this.#input,
      results: resultsBefore(status, step.name),
      attempt: phase === 'act' ? attempts : compensations,
      idempotencyKey: phase === 'act' ? key : `${key}:compensation`,
      signal,
    }
    return phase === 'act' ? context : ({ ...context, result, effect } as AnyContext)
  }

  async #readInput(): Promise<string | undefined> {
    try {
      const checked = await validate(this.#saga.input, this.#status.input)
      if ('issues' in checked) return `its input does not match the schema: ${listIssues(checked.issues)}`
      this.#input = checked.value
      return undefined
    } catch (thrown) {
      return `the schema of its input failed: ${wordsOf(thrown)}`
    }
  }

  #isPastDeadline(): boolean {
    const { deadline } = this.#saga
    return deadline !== undefined && this.#now() - this.#status.startedAt >= deadline
  }

  async #cannot(why: string): Promise<void> {
    this.#status = inTrouble(this.#status, why, this.#now())
    await this.#free(troublePause)
  }

  async #free(dueIn: number): Promise<void> {
    if (await this.#save(this.#status, { dueIn })) this.#hooks.dueIn(dueIn)
  }

  #save(status: SagaStatus, free?: SavedSaga['free']): Promise<boolean> {
    return this.#change(free, status)
  }

  /** Makes a change; false when the saga is not ours any more. */
  async #change(
    free: SavedSaga['free'],
    next: SagaStatus | ((transaction: unknown) => Promise<SagaStatus>),
  ): Promise<boolean> {
    const { changed } = this.#saga
    const stamped = (status: SagaStatus): SagaStatus => ({ ...status, changedAt: this.#now() })
    const inTransaction = async (transaction: unknown): Promise<SavedSaga> => {
      const status = stamped(typeof next === 'function' ? await next(transaction) : next)
      await changed?.(status, transaction as never)
      return { status, free }
    }
    const plain = typeof next !== 'function' && changed === undefined
    const saved: Saved | undefined = await this.#store.save(
      this.#claim,
      plain ? { status: stamped(next), free } : inTransaction,
      typeof next === 'function',
    )
    if (saved === undefined) return false
    const wasStuck = this.#stuck
    this.#claim = saved.claim
    this.#status = saved.status
    this.#stuck = saved.status.stuckSince !== undefined
    this.#hooks.saved(saved.status)
    if (this.#stuck && !wasStuck) this.#hooks.stuck(saved.status)
    return true
  }

  #now(): number {
    return this.#settings.clock.now()
  }
}

type TriedWork = StepFunction<never, unknown> | OperationWork<never, unknown>

/** Whether its try is written down before it begins. */
export function isTried(work: StepWork<never, unknown, never>): work is TriedWork {
  return typeof work === 'function' || work.kind === 'operation'
}

function workOf(phase: Phase, step: AnyStep): StepWork<never, unknown, never> {
  return phase === 'act' ? step.action : step.options.compensate!
}
