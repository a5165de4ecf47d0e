/** One try of a step's action or compensation: a function or a request, within its time. */
import type { Clock } from '../clock.ts'
import type { AnyOperation } from '../contract/operation.ts'
import { toDocument } from './documents.ts'
import { failureOf, type Failure } from './failures.ts'
import type { SagaRequester } from './outbox.ts'
import type { OperationWork, StepContext, StepFunction } from './work.ts'

/** A context, where its types do not matter. */
export type AnyContext = StepContext<unknown, Record<string, unknown>>

export type Tried =
  | { readonly kind: 'done'; readonly result: unknown }
  | { readonly kind: 'failed'; readonly failure: Failure }
  /** Given up by `close`, or because the saga may be another's: nothing is known, and nothing is to be written. */
  | { readonly kind: 'stopped' }

export interface TryOptions {
  readonly clock: Clock
  readonly requester: SagaRequester | undefined
  readonly timeout: number
  readonly maxBytes: number
  /** Fires when nobody waits any more. */
  readonly stop: AbortSignal
}

/** Never rejects. A function that does not end in time goes on unseen, unless it heeds its signal. */
export async function tryOnce(
  work: StepFunction<never, unknown> | OperationWork<never, unknown>,
  contextFor: (signal: AbortSignal) => AnyContext,
  options: TryOptions,
): Promise<Tried> {
  const { clock, timeout, stop } = options
  const abort = new AbortController()
  const over = Promise.withResolvers<Tried>()
  const timer = clock.schedule(timeout, () => {
    const error = new DOMException(`it did not end within ${timeout} ms`, 'TimeoutError')
    over.resolve({ kind: 'failed', failure: { ...failureOf(error), code: undefined } })
    abort.abort(error)
  })
  const stopped = (): void => {
    over.resolve({ kind: 'stopped' })
    abort.abort(stop.reason)
  }
  stop.addEventListener('abort', stopped, { once: true })
  if (stop.aborted) stopped()
  try {
    return await Promise.race([over.promise, run(work, contextFor(abort.signal), options)])
  } finally {
    timer.cancel()
    stop.removeEventListener('abort', stopped)
  }
}

async function run(
  work: StepFunction<never, unknown> | OperationWork<never, unknown>,
  context: AnyContext,
  { requester, timeout, maxBytes }: TryOptions,
): Promise<Tried> {
  let given: unknown
  try {
    if (typeof work === 'function') {
      given = await work(context as never)
    } else {
      const { operation, value } = requestOf(work, context)
      const { sagaId: key, idempotencyKey, signal } = context
      const reply = await requester!.request(operation, value as never, {
        key,
        idempotencyKey,
        signal,
        timeout,
      })
      given = reply.value
    }
  } catch (thrown) {
    return { kind: 'failed', failure: failureOf(thrown) }
  }
  try {
    return { kind: 'done', result: toDocument('the result', given, maxBytes) }
  } catch (thrown) {
    return { kind: 'failed', failure: failureOf(thrown, 'done') }
  }
}

/**
 * The operation of a request, and its value.
 *
 * @throws StepError-like: nothing was sent when it throws
 */
export function requestOf(
  work: Pick<OperationWork<never, unknown>, 'operation' | 'request'>,
  context: AnyContext,
): { readonly operation: AnyOperation; readonly value: unknown } {
  const operation = typeof work.operation === 'function' ? work.operation(context as never) : work.operation
  return { operation, value: work.request(context as never) }
}
