/** What the requester is told of something that was thrown. Nothing here throws, whatever that is. */
import { remoteCodes, ReplyError } from '../errors.ts'
import { foreign, wordsOf } from '../words.ts'
import type { ErrorOutcome } from './outcome.ts'

/** An error reply without its headers. */
export type Failure = Omit<ErrorOutcome, 'kind' | 'headers'>

/** The most characters, lines, and characters of a line, of a stack that is shown. */
const longestStack = 4_000
const mostLines = 20
const longestLine = 200

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
  const message = expose ? exposed(thrown) : 'the handler failed; see the log of the replier'
  return { code: remoteCodes.handlerFailed, message }
}

/** Its stack, bounded, or what it says where it has none. */
export function exposed(thrown: unknown): string {
  try {
    const { stack } = thrown as { stack?: unknown }
    if (typeof stack === 'string' && stack !== '') {
      const lines = stack.slice(0, longestStack).split('\n', mostLines)
      return lines.map((line) => foreign(line, longestLine)).join('\n')
    }
  } catch {
    // It has none that can be read.
  }
  return wordsOf(thrown)
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
