/** What the requester is told of something that was thrown. Nothing here throws, whatever that is. */
import { remoteCodes, ReplyError } from '../errors.ts'
import { stackOf } from '../words.ts'
import type { ErrorOutcome } from './outcome.ts'

/** An error reply without its headers. */
export type Failure = Omit<ErrorOutcome, 'kind' | 'headers'>

/** What a `ReplyError` says, as far as it can be read; `undefined` when it is none, or has no code. */
export function replyErrorFailure(thrown: unknown): Failure | undefined {
  if (!(thrown instanceof ReplyError)) return undefined
  // Whoever does without types may have put anything there; a number is a code.
  const code = textOf(() => thrown.code)
  if (code === undefined || code === '') return undefined
  return {
    code,
    message: textOf(() => thrown.message) ?? '',
    effect: effectOf(thrown),
    retryable: isRetryable(thrown),
  }
}

/** Of anything else that was thrown. @param expose whether its message and stack are shown */
export function unexpectedFailure(thrown: unknown, expose: boolean): Failure {
  const message = expose ? stackOf(thrown) : 'the handler failed; see the log of the replier'
  return { code: remoteCodes.handlerFailed, message }
}

function textOf(read: () => unknown): string | undefined {
  try {
    const value = read()
    if (typeof value === 'string') return value
    return typeof value === 'number' || typeof value === 'bigint' ? String(value) : undefined
  } catch {
    return undefined
  }
}

function effectOf(error: ReplyError): Failure['effect'] {
  try {
    const { effect } = error
    return effect === 'none' || effect === 'done' ? effect : undefined
  } catch {
    return undefined
  }
}

function isRetryable(error: ReplyError): boolean {
  try {
    const said: { readonly retryable: unknown } = error
    return said.retryable === true
  } catch {
    return false
  }
}
