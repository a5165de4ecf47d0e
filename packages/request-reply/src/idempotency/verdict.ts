/**
 * What is kept of how a request has ended. Its work is over when there is a reply, or a failure that the same request would
 * come to again; anything else leaves the key to whoever comes next.
 */
import type { StoredOutcome } from '../contract/stored-outcome.ts'
import { remoteCodes } from '../errors.ts'
import type { ErrorOutcome, Outcome } from '../replier/outcome.ts'
import type { RawRequest } from '../replier/raw-request.ts'

export type Verdict =
  /** `commits`: whether what was done in the store's transaction counts. */
  | { readonly keeps: StoredOutcome; readonly commits: boolean }
  /** `trace`: whether something may have been done. */
  | { readonly keeps: undefined; readonly trace: boolean }

/** These did not come to the handler: the same request, sent again, may. */
const refusals: ReadonlySet<string> = new Set([
  remoteCodes.requestInvalid,
  remoteCodes.requestUndecodable,
  remoteCodes.requestTooLarge,
  remoteCodes.operationUnknown,
  remoteCodes.requestTooOld,
])

/** Passed over before anything was done. */
const unhandled: ReadonlySet<string> = new Set(['unanswerable', 'reply-topic-refused', 'operation-unknown'])

export function verdictOn(outcome: Outcome, request: RawRequest): Verdict {
  switch (outcome.kind) {
    case 'reply':
    case 'done':
      return { keeps: outcome, commits: true }
    case 'error':
      return verdictOnError(outcome, request)
    case 'handed over':
      // Handed to a retry topic: its delivery takes the key over.
      return outcome.comesAgain === true ? released : { keeps: { kind: 'handed over' }, commits: true }
    case 'passed over':
      if (outcome.reason === 'dead-lettered') return { keeps: outcome, commits: false }
      return unhandled.has(outcome.reason) ? untouched : released
    default:
      return released
  }
}

function verdictOnError(outcome: ErrorOutcome, request: RawRequest): Verdict {
  const { code, retryable, effect } = outcome
  if (refusals.has(code)) return untouched
  if (code === remoteCodes.deadlineExceeded) return request.error === undefined ? untouched : released
  if (retryable === true) return released
  // Nobody is told of it, and whoever gets the request next may come to another end.
  if (!request.owned) return released
  // The handler was stopped: that says nothing of what it would have come to.
  if (code === remoteCodes.handlerFailed && request.signal.aborted) return released
  return { keeps: outcome, commits: effect === 'done' }
}

const released: Verdict = { keeps: undefined, trace: true }
const untouched: Verdict = { keeps: undefined, trace: false }

/** Whether it says no more than that it was given up, and is kept for a person to look at. */
export function isDeadLettered(outcome: StoredOutcome): boolean {
  if (outcome.kind === 'error') return outcome.code === remoteCodes.deadLettered
  return outcome.kind === 'passed over' && outcome.reason === 'dead-lettered'
}
