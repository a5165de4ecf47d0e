import type { SagaState, SagaStatus } from './status.ts'

/** A saga's status with the types of its results. */
export interface SagaDecision<Results> {
  /** `completed`: every step is done; `compensating`, `compensated`: it failed, and is being undone, or was. */
  readonly outcome: Exclude<SagaState, 'running'>
  /** All of them when it is completed. */
  readonly results: Results | undefined
  /** Why it is not. */
  readonly failure: SagaStatus['failure']
  readonly status: SagaStatus
}

export interface SagaRun<Results> {
  readonly id: string
  /** Whether this call has begun it; false: it was there. */
  readonly begun: boolean
  /**
   * When it is known whether the saga completes: the caller's answer. What is to be undone then is undone without the
   * caller. Rejects with `MILENA_CLOSED` when the process's sagas are closed before: then `get` tells, later, elsewhere.
   */
  readonly decided: Promise<SagaDecision<Results>>
  /** When it has ended: completed, or compensated. Rejects likewise. */
  readonly ended: Promise<SagaDecision<Results>>
}
