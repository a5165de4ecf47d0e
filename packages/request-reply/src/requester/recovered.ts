/** What a requester that was killed had accepted, and how it came out. */
import type { AnyOperation, Operation } from '../contract/operation.ts'
import type { MilenaError } from '../errors.ts'
import type { Reply } from './reply.ts'

/**
 * A request that stands in the journal, an earlier process's (`onRecovered`) or our own (`beforeFinish`), with its outcome: exactly one of `reply` and `error` is there.
 */
export interface Recovered {
  /** The operation's name. */
  readonly operation: string
  /** The request as a replier would get it: decoded and validated anew; `undefined` when that fails (`requestError`). */
  readonly request: unknown
  /** Why the request cannot be read any more, such as a schema that has changed since. */
  readonly requestError: MilenaError | undefined
  /** In hexadecimal, 32 digits. */
  readonly correlationId: string
  readonly key: Buffer | null
  /** Milliseconds since the Unix epoch. */
  readonly acceptedAt: number
  readonly deadline: number
  /** Its outcome had been told as unknown before, to its caller or here: this is what came late (`keepUnknown`). */
  readonly late: boolean
  readonly reply: Reply<unknown> | undefined
  /**
   * The replier's error (`RemoteError`), why the reply cannot be read, or a `TimeoutError`: no reply came before the
   * deadline, and whether the request was sent, or handled, is not known.
   */
  readonly error: MilenaError | undefined
  /** Whether it is of this operation, by its name; then request and reply have the operation's types. */
  of<RequestInput, RequestOutput, ReplyInput, ReplyOutput>(
    operation: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
  ): this is RecoveredOf<RequestOutput, ReplyOutput>
}

/** A `Recovered` whose operation is known. */
export interface RecoveredOf<RequestOutput, ReplyOutput> extends Recovered {
  readonly request: RequestOutput | undefined
  readonly reply: Reply<ReplyOutput> | undefined
}

export function recoveredRequest(
  { name }: AnyOperation,
  content: Omit<Recovered, 'of' | 'operation'>,
): Recovered {
  const of = (operation: { readonly name: string }): boolean => operation.name === name
  return { operation: name, ...content, of: of as unknown as Recovered['of'] }
}
