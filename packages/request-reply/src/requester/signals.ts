/** The caller's `AbortSignal`: somebody else's object, whose functions may throw. */
import { tryOrRefuse } from './read-options.ts'
import type { PendingReply } from './pending.ts'

export function isAborted({ operation, signal }: PendingReply): boolean {
  return signal !== undefined && tryOrRefuse(operation, 'signal', () => signal.aborted)
}

/**
 * Listens, once; what is returned ends it.
 *
 * @throws OptionsError `MILENA_OPTIONS_INVALID` when the signal does not let anybody listen
 */
export function listen({ operation, signal }: PendingReply, onAbort: () => void): () => void {
  if (signal === undefined) return nothing
  tryOrRefuse(operation, 'signal', () => signal.addEventListener('abort', onAbort, { once: true }))
  return () => {
    try {
      signal.removeEventListener('abort', onAbort)
    } catch {
      // Then it goes on listening, and tells nobody anything.
    }
  }
}

function nothing(): void {}
