/** Several replies to one request: what `requestMany` is asked for, and what it gives. */
import { problemOfOperation, type Operation } from '../contract/operation.ts'
import { MilenaError, OptionsError } from '../errors.ts'
import type { RecordPosition } from '../transport/transport.ts'
import type { Reply, RequestOptions } from './reply.ts'

/** When what has been gathered is enough: after so many replies, or when a release predicate says so; one of the two. */
export type RequestManyOptions<ReplyOutput> = RequestOptions & {
  /**
   * The most replies and errors that are gathered, from 1; default 1 000. One more ends the request with
   * `MILENA_TOO_MANY_REPLIES`, and so does one for which the requester's `maxPendingBytes` leaves no room.
   */
  readonly maxReplies?: number | undefined
} & (
    | {
        /** So many replies, from 1 to `maxReplies`. Errors count towards nothing. */
        readonly count: number
        readonly until?: undefined
      }
    | {
        readonly count?: undefined
        /**
         * The release predicate: called within the process after each reply and each error, with all that came so far in
         * the order in which it came; `true` ends the wait. When it throws, or gives something else than true or false,
         * the request ends with `MILENA_UNTIL_FAILED`.
         */
        readonly until: (replies: readonly Reply<ReplyOutput>[], errors: readonly MilenaError[]) => boolean
      }
  )

/** `RequestManyOptions` as they were read: when it is enough, and how much may come. */
export interface GatherPlan {
  readonly count: number | undefined
  readonly until: ((replies: readonly Reply<never>[], errors: readonly MilenaError[]) => unknown) | undefined
  readonly maxReplies: number
}

/** What came to one request. */
export interface Gathered<ReplyOutput> {
  /** All that was waited for came. False: the timeout came first. */
  readonly complete: boolean
  /** In the order in which they came. */
  readonly replies: readonly Reply<ReplyOutput>[]
  /** Repliers' errors (`RemoteError`), and replies that cannot be read, in the order in which they came. */
  readonly errors: readonly MilenaError[]
  /**
   * The consumer groups that have answered, with a reply or an error, in the order in which they did: those that say so,
   * as Milena's repliers do.
   */
  readonly groups: readonly string[]
  /** In hexadecimal, 32 digits. */
  readonly correlationId: string
  /** Where the request stands; `undefined` while the brokers have not acknowledged it. */
  readonly request: RecordPosition | undefined
  /** Milliseconds from acceptance to the end of the wait. */
  readonly duration: number
}

/**
 * What had come to a `requestMany` that ended in this error, such as `MILENA_CANCELLED`, whatever its code: nothing that
 * came is lost. `undefined` for any other error. The errors that had come to one without a reply (`MILENA_TIMEOUT`) are
 * here, too.
 *
 * @param operation the one that was asked, for the types
 * @throws OptionsError of what is no operation
 */
export function gatheredIn<RequestInput, RequestOutput, ReplyInput, ReplyOutput>(
  error: unknown,
  operation: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
): Gathered<ReplyOutput> | undefined {
  const problem = problemOfOperation(operation)
  if (problem !== undefined) throw new OptionsError('gatheredIn', [problem])
  if (!(error instanceof MilenaError) || error.request?.operation !== operation.name) return undefined
  return (error as { gathered?: Gathered<ReplyOutput> }).gathered
}

/** Puts it into the error, where whoever prints that sees it. */
export function withGathered(error: Error, gathered: Gathered<unknown>): void {
  Object.defineProperty(error, 'gathered', { value: gathered, enumerable: true })
}
