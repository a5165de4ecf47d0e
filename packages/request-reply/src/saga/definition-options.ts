import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Backoff } from '../retry/backoff.ts'
import type { SagaStatus } from './status.ts'
import type { ComposedWork, CompensationContext, StepFunction } from './work.ts'

export interface SagaOptions<Schema extends StandardSchemaV1 | undefined, Transaction> {
  /** Its name, which the stored sagas carry, such as `exchange`; 1 to 100 bytes. */
  readonly name: string
  /** Checks the input when a saga is begun, and gives the steps theirs. The input is stored as JSON of what was given. */
  readonly input?: Schema
  /**
   * Milliseconds from its beginning after which no further action begins: what was done is undone. Default: none. A
   * compensation has no deadline.
   */
  readonly deadline?: number | undefined
  /**
   * Called in each transaction that changes a saga's state, with the state that is committed by it: for a row of the
   * application's own that follows the saga. What it throws makes the change fail; it is tried again. It must do nothing
   * outside of the transaction.
   */
  readonly changed?: ((saga: SagaStatus, transaction: Transaction) => void | Promise<void>) | undefined
}

export interface StepOptions<Input, Results, Result, Transaction> {
  /**
   * Undoes the action; also when it is not known whether the action was done, so it must do no harm then, also when the
   * action takes effect only later. Tried again without end. Default: nothing is to be undone.
   */
  readonly compensate?:
    | StepFunction<CompensationContext<Input, Results, Result>, unknown>
    // Without the result's type, on which TypeScript would not wait to infer what these are given.
    | ComposedWork<CompensationContext<Input, Results, unknown>, unknown, Transaction>
    | undefined
  /**
   * Milliseconds that a try of the action may take, of a command that its reply may; then its outcome is unknown. Default
   * 30 000. `inTransaction` is not interrupted.
   */
  readonly timeout?: number | undefined
  /** Tries of the action. Default: one. */
  readonly retry?: StepRetry | undefined
  /**
   * Whether doing the action again under the same idempotency key is harmless. Then a try whose outcome is unknown, by an
   * error or by a crash, is followed by another one (by an error only within `retry`). With `false` it is followed by the
   * compensation. Default true.
   */
  readonly idempotent?: boolean | undefined
  /** How the compensation is tried; it is tried without end. */
  readonly compensation?: CompensationOptions | undefined
}

export interface StepRetry {
  /** The most tries, the first included. Default 3. */
  readonly attempts?: number | undefined
  /** Pauses between them. Default `fixed(1_000)`. */
  readonly backoff?: Backoff | undefined
}

export interface CompensationOptions {
  /** Milliseconds that a try may take; of a command, after which it is sent again. Default 30 000. */
  readonly timeout?: number | undefined
  /** Pauses between tries. Default `exponential({ first: 1_000, most: 60_000 })`. */
  readonly backoff?: Backoff | undefined
  /** The saga counts as stuck after so many tries … Default 5. */
  readonly stuckAfterAttempts?: number | undefined
  /** … or so many milliseconds after the first one. Default 60 000. */
  readonly stuckAfter?: number | undefined
}
