/**
 * Sagas at work: begun here, taken up again after a crash of whoever had them, and told.
 */
import type { RecordMiddleware } from '../replier/record-middleware.ts'
import type { Saga } from './definition.ts'
import type { SagaHealth } from './health.ts'
import type { SagaRun } from './runs.ts'
import type { SagaCounts, SagaFilter, SagaPage } from './store.ts'
import type { SagaStatus } from './status.ts'

/** How a step that waits for a reply ended, told by whoever knows it. */
export type StepOutcome =
  | { readonly result: unknown }
  /** Its `effect` and `retryable` decide, as if the step had thrown it. */
  | { readonly error: unknown }

export interface Sagas extends AsyncDisposable {
  /** Begins its lease, and takes up what is due. */
  start(): Promise<void>
  /**
   * Begins a saga. When it resolves, the saga is stored: it will end, whatever becomes of this process. An id that was used
   * before gives the saga that is there, and does nothing twice; so a caller that does not know may ask again.
   *
   * @param id of all sagas in the store; the record key and the idempotency key of what it sends: 1 to 128 bytes
   * @throws ValidationError `MILENA_REQUEST_INVALID`: the input does not match the schema
   * @throws MilenaError `MILENA_SAGA_CONFLICT`: the id has another saga, or another input
   * @throws MilenaError `MILENA_OVERLOADED` (`maxRuns`), `MILENA_CLOSED`
   * @throws what the store throws: the saga may be stored, or not; ask again with the same id
   */
  run<Given, Input, Results>(
    saga: Saga<Given, Input, Results, never>,
    id: string,
    input: Given,
  ): Promise<SagaRun<Results>>
  /** How the saga is now; `undefined` if there is none. */
  get(id: string): Promise<SagaStatus | undefined>
  list(filter?: SagaFilter): Promise<SagaPage>
  /**
   * Each saga that changes from now on, of all processes, with its latest status: what changes twice in a short time may be
   * told once. Ends with the signal, and with `close`.
   */
  watch(options?: { readonly signal?: AbortSignal | undefined }): AsyncIterable<SagaStatus>
  /** How many there are in the store. */
  stats(): Promise<SagaCounts>
  /** How this process's part is. */
  health(): SagaHealth
  /**
   * Ends a step that waits for a command's reply, by its `step` name. False when it does not wait: it has ended already.
   *
   * @throws MilenaError `MILENA_SAGA_BUSY` when another process has the saga and does not let go; nothing was changed: again
   */
  complete(id: string, step: string, outcome: StepOutcome): Promise<boolean>
  /**
   * Record middleware for the topics that commands' replies come to: what answers a command of a saga completes its step,
   * whichever process wrote it. Other records go on to the handler.
   *
   * ```ts
   * replier.handle(cancelled, () => {}, { useRecords: [sagas.replies] })
   * ```
   */
  readonly replies: RecordMiddleware
  /** Does not wait for the pause, or the reply, that the saga waits for: what is to be done next is tried at once. False when it has ended, or is being worked on. */
  retryNow(id: string): Promise<boolean>
  /**
   * Begins nothing more, waits up to `timeout` ms (default `drainTimeout`; `Infinity`: however long they take) for steps that are running, aborts the rest, and
   * lets go of every saga, for others to take up.
   */
  close(options?: { readonly timeout?: number | undefined }): Promise<void>
}
