/** Waits that end when nobody needs their outcome any more. */
import { TransportError } from '../../../errors.ts'

/**
 * The promise's outcome, or a rejection with `MILENA_CLOSED` as soon as the signal fires; what becomes of the promise
 * then is nobody's concern. `what` is what was waited for.
 */
export async function untilAborted<Value>(
  promise: Promise<Value>,
  signal: AbortSignal,
  what: string,
): Promise<Value> {
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => aborted.reject(new TransportError('MILENA_CLOSED', `${what}: closed`))
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  try {
    // First, so that it wins over a promise that has settled before.
    return await Promise.race([aborted.promise, promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
