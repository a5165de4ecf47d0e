import type { StoredOutcome } from '../contract/stored-outcome.ts'
import { remoteCodes } from '../errors.ts'
import type { Outcome, PassedOverOutcome } from '../replier/outcome.ts'
import type { RawRequest } from '../replier/raw-request.ts'

/** What a request comes to whose work has been done under its key before. */
export function repeat(stored: StoredOutcome, { replyTo }: RawRequest): Outcome {
  if (stored.kind === 'reply' || stored.kind === 'error' || stored.kind === 'handed over') return stored
  if (stored.kind === 'passed over') {
    const { reason, detail } = stored
    if (replyTo === undefined)
      return { kind: 'passed over', reason: reason as PassedOverOutcome['reason'], detail }
    return { kind: 'error', code: remoteCodes.deadLettered, message: detail }
  }
  if (replyTo === undefined) return stored
  const message =
    'the work of this idempotency key was done for a request that wanted no reply, so there is none to repeat'
  return { kind: 'error', code: remoteCodes.replyInvalid, message, effect: 'done' }
}
