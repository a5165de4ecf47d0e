/**
 * What is known of a saga: this is what is stored of it, what is listed and what is watched.
 *
 *     running ───── every step is done ─────────────────────────────▶ completed
 *        │
 *        └─ a step failed, or its outcome is unknown ─▶ compensating ─▶ compensated
 *                                                        (without end; visible as stuck)
 */
import type { Effect } from '../error-facts.ts'
import { hasList, refuseUnless } from '../given.ts'

export type SagaState = 'running' | 'completed' | 'compensating' | 'compensated'

/**
 *     (not there) ─▶ begun ⇄ pausing                              a failed try, and another one follows
 *          │           ├─────────▶ done | failed | unknown        failed: certainly without effect
 *          └─▶ sent ───┘            │              │              sent: a command, until its reply
 *                                   └──────┬───────┘
 *                                          ▼
 *                              undoing ⇄ undo-sent ─▶ undone      of what is done or unknown
 */
export type StepState =
  | 'begun'
  | 'pausing'
  | 'sent'
  | 'done'
  | 'failed'
  | 'unknown'
  | 'undoing'
  | 'undo-sent'
  | 'undone'

/** What went wrong, in words, as it is stored. */
export interface StepFailure {
  /** The error's `code` where it has one; of a replier's error its own code. */
  readonly code: string | undefined
  /** Escaped and cut. */
  readonly message: string
  readonly effect: Effect
}

export interface SagaFailure extends StepFailure {
  readonly step: string | undefined
}

export interface StepStatus {
  readonly name: string
  readonly state: StepState
  /** Tries of the action. */
  readonly attempts: number
  /** Tries that nobody saw the end of, because their process was gone. */
  readonly interrupted: number
  /** What the action gave; not there while it has not, or when that is not known. */
  readonly result?: unknown
  /** Whether there may be something to undo: `done` or `unknown`, once the action has ended. */
  readonly effect: Effect | undefined
  /** Of the action's last try that failed. */
  readonly error: StepFailure | undefined
  /** Tries of the compensation. */
  readonly compensations: number
  /** When its first try began, in milliseconds since the Unix epoch. */
  readonly compensatingSince: number | undefined
  /** Of the compensation's last try that failed. */
  readonly compensationError: StepFailure | undefined
  /** Of the command that the action, or the compensation, has sent, in hexadecimal: the same at each try. */
  readonly correlationId: string | undefined
  readonly compensationCorrelationId: string | undefined
}

export interface SagaStatus {
  readonly id: string
  /** The definition's name. */
  readonly saga: string
  readonly state: SagaState
  /** As it was given, as JSON has it. */
  readonly input: unknown
  /** Those that were begun, in order. */
  readonly steps: readonly StepStatus[]
  /** Which step failed, and how: there since the saga is being undone. `step` is `undefined` when its deadline had passed. */
  readonly failure: SagaFailure | undefined
  /** Why it cannot be worked on at all, such as a definition that has changed; it is looked at again. */
  readonly trouble: string | undefined
  /** Since when it is stuck, in milliseconds since the Unix epoch: it is tried again all the same. */
  readonly stuckSince: number | undefined
  /** Milliseconds since the Unix epoch. */
  readonly startedAt: number
  readonly changedAt: number
  readonly endedAt: number | undefined
}

/**
 * The correlation id of the command whose reply the saga waits for now.
 *
 * @throws OptionsError of what is no status, such as the `undefined` that `sagas.get` has for an id that there is not
 */
export function waitingFor(status: SagaStatus): string | undefined {
  const wanted = 'it takes a status, which sagas.get has only of a saga that is there'
  refuseUnless(hasList(status, 'steps'), 'waitingFor', wanted, status)
  const step = waitingStep(status.steps)
  return step?.state === 'sent' ? step.correlationId : step?.compensationCorrelationId
}

/** The step that waits for a command's reply; there is one at a time. */
export function waitingStep(steps: readonly StepStatus[]): StepStatus | undefined {
  return steps.find(({ state }) => state === 'sent' || state === 'undo-sent')
}
