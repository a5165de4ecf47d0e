/**
 * How a saga goes on: a status, and what has happened, give the next status. Nothing here waits or writes.
 */
import { exponential, fixed } from '../retry/backoff.ts'
import type { AnySaga, AnyStep } from './definition.ts'
import { stored, type Failure } from './failures.ts'
import type { SagaStatus, StepStatus } from './status.ts'

/** What is to be done next. */
export type Move =
  | { readonly kind: 'act' | 'undo'; readonly step: AnyStep }
  /** Every step is done, or everything is undone. */
  | { readonly kind: 'end'; readonly state: 'completed' | 'compensated' }
  /** The definition here is not the one that the saga was begun with. */
  | { readonly kind: 'cannot'; readonly why: string }

/** A status, and how long the saga is to be left alone. */
export interface Advanced {
  readonly status: SagaStatus
  readonly pause?: number | undefined
}

/** Numbers, 0 ≤ x < 1. */
type Chance = () => number

const usualPause = fixed(1_000)
const usualUndoPause = exponential({ first: 1_000, most: 60_000 })

/** The most tries of a step that end with their process: after them its outcome counts as unknown. */
const mostInterrupted = 10

export function begunSaga(id: string, saga: string, input: unknown, now: number): SagaStatus {
  return {
    id,
    saga,
    state: 'running',
    input,
    steps: [],
    failure: undefined,
    trouble: undefined,
    stuckSince: undefined,
    startedAt: now,
    changedAt: now,
    endedAt: undefined,
  }
}

export function nextMove(saga: AnySaga, status: SagaStatus): Move {
  const stranger = status.steps.find(({ name }, place) => saga.steps[place]?.name !== name)
  if (stranger !== undefined && (status.state === 'running' || stepOf(saga, stranger.name) === undefined)) {
    return {
      kind: 'cannot',
      why: `the definition of saga ${saga.name} has no step ${stranger.name} in this place`,
    }
  }
  if (status.state === 'running') {
    const last = status.steps.at(-1)
    const place = last === undefined || last.state === 'done' ? status.steps.length : status.steps.length - 1
    const step = saga.steps[place]
    return step === undefined ? { kind: 'end', state: 'completed' } : { kind: 'act', step }
  }
  for (const { name, state, effect } of status.steps.toReversed()) {
    if (state === 'undone' || (effect !== 'done' && effect !== 'unknown')) continue
    const step = stepOf(saga, name)!
    if (step.options.compensate !== undefined) return { kind: 'undo', step }
  }
  return { kind: 'end', state: 'compensated' }
}

/** A saga that was claimed: what became of the try that its last owner had begun? */
export function takenUp(saga: AnySaga, status: SagaStatus, chance: Chance): Advanced {
  const last = status.steps.at(-1)
  if (status.state !== 'running' || last === undefined) return { status }
  const step = stepOf(saga, last.name)
  if (step === undefined) return { status }
  if (last.state === 'sent') return actionFailed(step, status, noReply, chance)
  if (last.state !== 'begun') return { status }
  const interrupted = last.interrupted + 1
  const seen = withStep(status, { ...last, state: 'pausing', effect: 'unknown', interrupted })
  const again = step.options.idempotent !== false && interrupted < mostInterrupted
  // The try that nobody saw the end of is made again: it does not count.
  if (again) return { status: withStep(seen, { ...stepIn(seen, step)!, attempts: last.attempts - 1 }) }
  return { status: failedFor(seen, step, gone) }
}

const noReply: Failure = {
  code: undefined,
  message: 'no reply in time',
  effect: 'unknown',
  retryable: true,
}

const gone: Failure = {
  code: undefined,
  message: 'the process that had begun it is gone',
  effect: 'unknown',
  retryable: false,
}

export function actionBegun(step: AnyStep, status: SagaStatus): SagaStatus {
  const before = stepIn(status, step) ?? newStep(step.name)
  return withStep(status, { ...before, state: 'begun', attempts: before.attempts + 1 })
}

export function actionSent(step: AnyStep, status: SagaStatus, correlationId: string): SagaStatus {
  const begun = stepIn(actionBegun(step, status), step)!
  return withStep(status, { ...begun, state: 'sent', correlationId })
}

export function actionDone(step: AnyStep, status: SagaStatus, result: unknown): SagaStatus {
  const before = stepIn(status, step)!
  return withStep(status, {
    ...before,
    state: 'done',
    effect: 'done',
    result,
    error: undefined,
  })
}

/** Another try, if it can help and is allowed; else the saga is undone. */
export function actionFailed(step: AnyStep, status: SagaStatus, failure: Failure, chance: Chance): Advanced {
  const { retry, idempotent = true } = step.options
  const attempts = retry === undefined ? 1 : (retry.attempts ?? 3)
  const before = stepIn(status, step)!
  const mayTry = failure.effect === 'none' ? failure.retryable : failure.effect === 'unknown' && idempotent
  if (!mayTry || before.attempts >= attempts) return { status: failedFor(status, step, failure) }
  return {
    // An earlier try whose effect is unknown is not made undone by a later one that did nothing.
    status: withStep(status, {
      ...before,
      state: 'pausing',
      effect: worse(before, failure),
      error: stored(failure),
    }),
    pause: (retry?.backoff ?? usualPause)(before.attempts, chance),
  }
}

function failedFor(status: SagaStatus, step: AnyStep, failure: Failure): SagaStatus {
  const before = stepIn(status, step)!
  const effect = worse(before, failure)
  const failed = withStep(status, {
    ...before,
    state: effect === 'none' ? 'failed' : 'unknown',
    effect,
    error: stored(failure),
  })
  return { ...failed, state: 'compensating', failure: { ...stored(failure), step: step.name } }
}

function worse(before: StepStatus, { effect }: Failure): 'none' | 'done' | 'unknown' {
  if (before.effect === 'unknown') return effect === 'done' ? 'done' : 'unknown'
  return effect
}

/** No step is begun any more. */
export function pastDeadline(status: SagaStatus): SagaStatus {
  const failure = {
    code: undefined,
    message: 'its deadline has passed',
    effect: 'none' as const,
    step: undefined,
  }
  return { ...status, state: 'compensating', failure }
}

export function undoBegun(step: AnyStep, status: SagaStatus, now: number): SagaStatus {
  const before = stepIn(status, step)!
  return withStep(status, {
    ...before,
    state: 'undoing',
    compensations: before.compensations + 1,
    compensatingSince: before.compensatingSince ?? now,
  })
}

/** It was sent; after the pause without a reply it is sent again. */
export function undoSent(
  step: AnyStep,
  status: SagaStatus,
  correlationId: string,
  now: number,
  chance: Chance,
): Advanced {
  const begun = stepIn(undoBegun(step, status, now), step)!
  const sent = withStep(status, { ...begun, state: 'undo-sent', compensationCorrelationId: correlationId })
  const { timeout = 30_000 } = step.options.compensation ?? {}
  return {
    status: markStuck(step, sent, begun.compensations - 1, now),
    pause: Math.max(timeout, undoPause(step, begun, chance)),
  }
}

export function undoDone(step: AnyStep, status: SagaStatus): SagaStatus {
  const before = stepIn(status, step)!
  const undone = withStep(status, {
    ...before,
    state: 'undone',
    compensationError: undefined,
  })
  return { ...undone, stuckSince: undefined }
}

export function undoFailed(
  step: AnyStep,
  status: SagaStatus,
  failure: Failure,
  now: number,
  chance: Chance,
): Advanced {
  // Its work was done; what it gave is not needed.
  if (failure.effect === 'done') return { status: undoDone(step, status) }
  const before = stepIn(status, step)!
  const failed = withStep(status, {
    ...before,
    state: 'undoing',
    compensationError: stored(failure),
  })
  return {
    status: markStuck(step, failed, before.compensations, now),
    pause: undoPause(step, before, chance),
  }
}

function undoPause(step: AnyStep, { compensations }: StepStatus, chance: Chance): number {
  return (step.options.compensation?.backoff ?? usualUndoPause)(compensations, chance)
}

function markStuck(step: AnyStep, status: SagaStatus, failed: number, now: number): SagaStatus {
  const { stuckAfterAttempts = 5, stuckAfter = 60_000 } = step.options.compensation ?? {}
  const since = stepIn(status, step)?.compensatingSince ?? now
  if (status.stuckSince !== undefined || (failed < stuckAfterAttempts && now - since < stuckAfter))
    return status
  return { ...status, stuckSince: now }
}

/** The definition here does not fit, or the stored input is not the schema's. */
export function inTrouble(status: SagaStatus, why: string, now: number): SagaStatus {
  return { ...status, trouble: why, stuckSince: status.stuckSince ?? now }
}

export function outOfTrouble(status: SagaStatus): SagaStatus {
  return status.trouble === undefined ? status : { ...status, trouble: undefined, stuckSince: undefined }
}

export function endedSaga(status: SagaStatus, state: 'completed' | 'compensated', now: number): SagaStatus {
  return { ...status, state, endedAt: now, stuckSince: undefined }
}

export function stepOf(saga: AnySaga, name: string): AnyStep | undefined {
  return saga.steps.find((step) => step.name === name)
}

export function stepIn(status: SagaStatus, { name }: AnyStep): StepStatus | undefined {
  return status.steps.find((step) => step.name === name)
}

/** The results of the steps before this one. */
export function resultsBefore(status: SagaStatus, name: string | undefined): Record<string, unknown> {
  const results: Record<string, unknown> = {}
  for (const step of status.steps) {
    if (step.name === name) break
    results[step.name] = step.result
  }
  return results
}

function newStep(name: string): StepStatus {
  return {
    name,
    state: 'begun',
    attempts: 0,
    interrupted: 0,
    effect: undefined,
    error: undefined,
    compensations: 0,
    compensatingSince: undefined,
    compensationError: undefined,
    correlationId: undefined,
    compensationCorrelationId: undefined,
  }
}

function withStep(status: SagaStatus, step: StepStatus): SagaStatus {
  const known = status.steps.some(({ name }) => name === step.name)
  const steps = known
    ? status.steps.map((other) => (other.name === step.name ? step : other))
    : [...status.steps, step]
  return { ...status, steps }
}
