/** What `requestEach` is given, read once. */
import { isTimeout, longestTimeout, type AnyOperation } from '../contract/operation.ts'
import { OptionsError, unknownOptions } from '../errors.ts'
import type { HeaderInput } from '../wire/headers.ts'
import { classOf } from '../words.ts'
import { Source } from './each-source.ts'
import { said } from './options.ts'
import { problemOfSignal, tryOrRefuse } from './read-options.ts'
import type { RequestOptions } from './reply.ts'

export interface RequestEachOptions<Item> {
  /** The most requests that are in flight, or have ended and were not taken by the caller yet; default 100. */
  readonly concurrency?: number | undefined
  /**
   * Ends all of it: no item is asked for any more, what is in flight is cancelled, and when all results were taken the
   * iteration throws the signal's reason.
   */
  readonly signal?: AbortSignal | undefined
  /** As `RequestOptions.timeout`, of each request by itself. */
  readonly timeout?: number | undefined
  /** As `RequestOptions.deadline`, of all of them: those that are not sent by then are refused, each by itself. */
  readonly deadline?: number | undefined
  /** As `RequestOptions.headers`, for all of them. */
  readonly headers?: HeaderInput | undefined
  /** As `RequestOptions.replyTopic`, of all of them. */
  readonly replyTopic?: string | undefined
  /** What differs from item to item: `key`, `idempotencyKey`, … What it throws ends the iteration. Default none. */
  readonly requestOptions?: ((item: Item, index: number) => RequestOptions | undefined) | undefined
}

export interface EachSettings {
  readonly concurrency: number
  readonly signal: AbortSignal | undefined
  readonly common: RequestOptions
  readonly requestOptions: ((item: unknown, index: number) => RequestOptions | undefined) | undefined
}

const known: ReadonlySet<string> = new Set<keyof RequestEachOptions<unknown>>([
  'concurrency',
  'signal',
  'timeout',
  'deadline',
  'headers',
  'replyTopic',
  'requestOptions',
])

/** @throws OptionsError */
export function readEachOptions(
  operation: AnyOperation,
  options: RequestEachOptions<never> = {},
): EachSettings {
  const problems = unknownOptions(options, known)
  const { concurrency = 100, signal, requestOptions, ...common } = options
  const { timeout, deadline, replyTopic } = common
  if (!Number.isSafeInteger(concurrency) || concurrency < 1)
    problems.push(`concurrency must be a whole number of at least 1, not ${said(concurrency)}`)
  if (signal !== undefined) {
    const problem = tryOrRefuse(operation, 'signal', () => problemOfSignal(signal))
    if (problem !== undefined) problems.push(`signal ${problem}`)
  }
  if (timeout !== undefined && !isTimeout(timeout))
    problems.push(`timeout must be 1 to ${longestTimeout} ms, not ${said(timeout)}`)
  if (deadline !== undefined && !Number.isFinite(deadline))
    problems.push(`deadline must be milliseconds since the Unix epoch, not ${said(deadline)}`)
  if (replyTopic !== undefined && typeof replyTopic !== 'string')
    problems.push(`replyTopic must be a topic's name, not ${classOf(replyTopic)}`)
  if (requestOptions !== undefined && typeof requestOptions !== 'function')
    problems.push(`requestOptions must be a function, not ${classOf(requestOptions)}`)
  if (problems.length > 0) throw new OptionsError('requestEach', problems)
  return { concurrency, signal, common, requestOptions: requestOptions as EachSettings['requestOptions'] }
}

/** @throws OptionsError when there is nothing to iterate over */
export function readItems(items: unknown): Source {
  if (typeof items === 'object' && items !== null) {
    const { [Symbol.asyncIterator]: later, [Symbol.iterator]: now } = items as Partial<
      AsyncIterable<unknown> & Iterable<unknown>
    >
    if (typeof later === 'function') return new Source(() => later.call(items))
    if (typeof now === 'function') return new Source(() => now.call(items))
  }
  throw new OptionsError('requestEach', [
    `items must be a list, or something else that can be iterated over, not ${classOf(items)}`,
  ])
}
