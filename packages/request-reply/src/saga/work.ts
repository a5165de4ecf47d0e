/**
 * What a step's action, or its compensation, can be:
 *
 *     a function         local work, an HTTP call: awaited, outside of any transaction
 *     inTransaction(f)   local rows: committed together with the saga's own state, or not at all
 *     operation(op, f)   a request: sent by the requester, its reply is awaited
 *     command(op, f)     a request: written to the outbox in the transaction of the saga's state; nobody waits in the
 *                        process, the reply completes the step whenever it comes
 */
import type { AnyOperation, Operation } from '../contract/operation.ts'
import { OptionsError } from '../errors.ts'
import { unknownOptions } from '../given.ts'

const knownOfCommand: ReadonlySet<string> = new Set(['replyTo'])

/** What a step is told. */
export interface StepContext<Input, Results> {
  readonly sagaId: string
  /** The saga's input: what its schema gives. */
  readonly input: Input
  /** What the earlier steps have given, by their names, as it comes out of JSON. */
  readonly results: Results
  /** Which try this is, from 1. */
  readonly attempt: number
  /**
   * `<saga id>:<step>`, of a compensation `<saga id>:<step>:compensation`: the same at every try, also after a crash. Send
   * it along, so that the other side does the work once.
   */
  readonly idempotencyKey: string
  /** Fires when the try's `timeout` is over, when the saga is another instance's by now, and when `close` does not wait any longer. */
  readonly signal: AbortSignal
}

/** What a compensation is told beyond that. */
export interface CompensationContext<Input, Results, Result> extends StepContext<Input, Results> {
  /** What the action gave; `undefined` when that is not known. Its type is known to functions only. */
  readonly result: Result | undefined
  /** Whether the action was done, or may have been done, or may yet be: then its undoing must hold in either order. */
  readonly effect: 'done' | 'unknown'
}

/** A function that is awaited. What it throws decides, by its `effect` and `retryable` (`StepError`, `MilenaError`). */
export type StepFunction<Context, Result> = (context: Context) => Result | Promise<Result>

/** Work on rows of the store's own database. */
export interface TransactionWork<Context, Result, Transaction> {
  readonly kind: 'transaction'
  readonly run: (context: Context, transaction: Transaction) => Result | Promise<Result>
}

/** A request whose reply is awaited. */
export interface OperationWork<Context, Result> {
  readonly kind: 'operation'
  readonly operation: AnyOperation | ((context: Context) => AnyOperation)
  readonly request: (context: Context) => unknown
  /** Never there: ties the work to its result's type. */
  readonly result?: Result
}

/** A request that is written to the outbox. */
export interface CommandWork<Context, Result> {
  readonly kind: 'command'
  readonly operation: AnyOperation | ((context: Context) => AnyOperation)
  readonly request: (context: Context) => unknown
  /** The topic that the reply goes to. */
  readonly replyTo: string | ((context: Context) => string)
  /** Never there: ties the work to its result's type. */
  readonly result?: Result
}

export type StepWork<Context, Result, Transaction> =
  | StepFunction<Context, Result>
  | ComposedWork<Context, Result, Transaction>

/** What the functions below give. */
export type ComposedWork<Context, Result, Transaction> =
  | TransactionWork<Context, Result, Transaction>
  | OperationWork<Context, Result>
  | CommandWork<Context, Result>

/**
 * Work on rows of the store's own database, committed together with the saga's state: it takes place once, and a try that
 * fails leaves nothing. It must do nothing outside of its transaction.
 */
export function inTransaction<Context, Result, Transaction>(
  run: (context: Context, transaction: Transaction) => Result | Promise<Result>,
): TransactionWork<Context, Result, Transaction> {
  return { kind: 'transaction', run }
}

/**
 * A request by the requester of `createSagas`, with the saga's id for its key and the step's idempotency key; the reply's
 * value is the result. `operation` may choose by the context.
 */
export function operation<Context, RequestInput, RequestOutput, ReplyInput, ReplyOutput>(
  operation:
    | Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>
    | ((context: Context) => Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>),
  request: (context: Context) => RequestInput,
): OperationWork<Context, ReplyOutput> {
  return { kind: 'operation', operation: operation as never, request }
}

/**
 * A request in the outbox, with the saga's id for its key and the step's idempotency key. It is written in the transaction
 * in which the saga's state changes, so that there is never one without the other. The saga then holds nothing in memory;
 * the step ends when `sagas.replies`, or `sagas.complete`, is given its reply.
 */
export function command<Context, RequestInput, RequestOutput, ReplyInput, ReplyOutput>(
  operation:
    | Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>
    | ((context: Context) => Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>),
  request: (context: Context) => RequestInput,
  options: { readonly replyTo: string | ((context: Context) => string) },
): CommandWork<Context, ReplyOutput> {
  const problems = unknownOptions('command', options, knownOfCommand)
  if (problems.length > 0) throw new OptionsError('command', problems)
  const { replyTo } = options
  return { kind: 'command', operation: operation as never, request, replyTo }
}
