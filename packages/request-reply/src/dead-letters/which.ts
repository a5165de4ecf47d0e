import type { Effect } from '../error-facts.ts'
import { remoteCodes } from '../errors.ts'
import type { ErrorOutcome, PassedOverOutcome } from '../replier/outcome.ts'
import type { RawRequest } from '../replier/raw-request.ts'

/** An outcome that a dead letter can be of. */
export type FailedOutcome = ErrorOutcome | PassedOverOutcome

/**
 * Whether a record that has ended like this becomes a dead letter.
 *
 * @param usual what the library would do
 */
export type WhichLetters = (outcome: FailedOutcome, request: RawRequest, usual: boolean) => boolean

/** The request was taken up in vain, or could not be taken up at all: something is wrong that nobody has answered. */
const failures: ReadonlySet<string> = new Set([
  remoteCodes.handlerFailed,
  remoteCodes.handlerTimeout,
  remoteCodes.requestInvalid,
  remoteCodes.requestUndecodable,
  remoteCodes.requestTooLarge,
  remoteCodes.replyInvalid,
  remoteCodes.operationUnknown,
])

/** It came too late to be begun. */
const expired: ReadonlySet<string> = new Set([remoteCodes.deadlineExceeded, remoteCodes.requestTooOld])

export interface Circumstances {
  /** Whether it had been tried before: here, or in a topic of a retry. */
  readonly retried: boolean
  /** Whether somebody is told of the error. */
  readonly answered: boolean
  /** Whether something was thrown, so that it had begun. */
  readonly begun: boolean
  /** Whether it is the replay of a letter. */
  readonly replayed: boolean
  /** Whether records without a handler are ignored on purpose. */
  readonly ignoresUnknown: boolean
}

/**
 * The usual choice: what went wrong, and not what was answered.
 *
 * - Passed over: always, but for an operation that is ignored on purpose.
 * - A failure of the library's own codes (unexpected, undecodable, invalid, too large, unknown operation, a reply that
 *   cannot be sent): always.
 * - Too late to begin: when it had been tried before, or had begun, or is a replay, or nobody is told of it. Else the requester, who has
 *   given it up, is answered, and that is all.
 * - A `ReplyError`, or another code that the application has chosen, is an answer: "card declined" is no dead letter. It is
 *   one when a retry has given it up, or when it says `retryable` and was tried again; and, where nobody is told, when its
 *   effect is not known.
 */
export function isUsuallyLetter(outcome: FailedOutcome, at: Circumstances): boolean {
  if (outcome.kind === 'passed over')
    return (
      outcome.reason !== 'dead-lettered' && !(outcome.reason === 'operation-unknown' && at.ignoresUnknown)
    )
  const { code, retryable, effect, givenUp } = outcome
  if (code === remoteCodes.deadLettered) return false
  if (failures.has(code)) return true
  if (expired.has(code)) return at.retried || at.begun || at.replayed || !at.answered
  if (givenUp === true || (retryable === true && at.retried)) return true
  return !at.answered && !isKnown(effect)
}

function isKnown(effect: Effect | undefined): boolean {
  return effect === 'none' || effect === 'done'
}
