/** What `requestEach` is given, read once. */
import { isTimeout, longestTimeout, type AnyOperation } from '../contract/operation.ts'
import { OptionsError } from '../errors.ts'
import { unknownOptions } from '../given.ts'
import type { HeaderInput } from '../wire/headers.ts'
import { classOf, said } from '../words.ts'
import { Source } from './each-source.ts'
import { problemOfSignal, tryOrRefuse } from './read-options.ts'
import type { RequestOptions } from './reply.ts'

export interface RequestEachOptions<Item> {
  /** The most requests that are in flight, or have ended and were not taken by the caller yet; default 100. */
  readonly concurrency?: number | undefined
  /**
   * Ends all of it: no item is asked for any more, what is in flight is cancelled, and when all results were taken the
   * iteration throws the signal's reason. When all that the source gave has ended it does nothing any more.
   */
  readonly signal?: AbortSignal | undefined
  /** As `RequestOptions.timeout`, of each request by itself. */
  readonly timeout?: number | undefined
  /** As `RequestOptions.deadline`, of all of them: those that are not sent by then are refused, each by itself. */
  readonly deadline?: number | undefined
  /** As `RequestOptions.headers`, for all of them, beside what `requestOptions` says of one; of a name in both, that counts. */
  readonly headers?: HeaderInput | undefined
  /** As `RequestOptions.replyTopic`, of all of them. */
  readonly replyTopic?: string | undefined
  /**
   * What differs from item to item: `key`, `idempotencyKey`, … What it says of an item counts before what is said for all.
   * Called once for each item, within the process; what it throws ends the iteration, and so does a promise. Default none.
   */
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
  const problems = unknownOptions('requestEach', options, known)
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

/** The options of one request, and what is to be called when it has ended. */
export interface ItemOptions {
  readonly options: RequestOptions
  readonly unlisten: () => void
}

/**
 * @param stop cancels it with all the others
 * @throws OptionsError of what `requestOptions` gives, and whatever it throws itself
 */
export function optionsOf(
  { common, requestOptions }: EachSettings,
  item: unknown,
  index: number,
  stop: AbortSignal,
): ItemOptions {
  const own: unknown = requestOptions?.(item, index)
  if (own === undefined || own === null) return { options: { ...common, signal: stop }, unlisten: nothing }
  if (typeof own !== 'object' || isThenable(own))
    throw new OptionsError('requestEach', [
      `requestOptions must return options, not ${isThenable(own) ? 'a promise' : classOf(own)}`,
    ])
  const given: RequestOptions = own
  const { signal, unlisten } = either(stop, given.signal)
  const options = { ...common, ...given, signal }
  // What is not said of one item is as for all of them.
  options.timeout ??= common.timeout
  options.deadline ??= common.deadline
  options.replyTopic ??= common.replyTopic
  options.headers = beside(common.headers, given.headers)
  return { options, unlisten }
}

/** Of a name that both have, the item's counts. */
function beside(common: HeaderInput | undefined, own: HeaderInput | undefined): HeaderInput | undefined {
  if (own === undefined || common === undefined) return own ?? common
  // What is no object is told of where it is read.
  return typeof own === 'object' && own !== null ? { ...common, ...own } : own
}

/** @throws OptionsError */
function either(
  stop: AbortSignal,
  own: AbortSignal | undefined,
): { readonly signal: AbortSignal; readonly unlisten: () => void } {
  if (own === undefined) return { signal: stop, unlisten: nothing }
  const problem = problemOfSignal(own)
  if (problem !== undefined) throw new OptionsError('requestEach', [`requestOptions: signal ${problem}`])
  const isNodes: boolean = own instanceof AbortSignal
  if (isNodes) return { signal: AbortSignal.any([stop, own]), unlisten: nothing }
  // One of another library's, or of another realm.
  const abort = new AbortController()
  const onAbort = (): void => abort.abort(own.reason)
  own.addEventListener('abort', onAbort, { once: true })
  if (own.aborted) onAbort()
  return {
    signal: AbortSignal.any([stop, abort.signal]),
    unlisten: () => {
      try {
        own.removeEventListener('abort', onAbort)
      } catch {
        // Then it goes on listening, to no purpose.
      }
    },
  }
}

function nothing(): void {}

function isThenable(value: unknown): boolean {
  return typeof (value as { readonly then?: unknown }).then === 'function'
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
