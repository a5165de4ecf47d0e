/**
 * Which failures another try can mend.
 *
 * Final: what the library refuses (deadline, size, decoding, validation, unknown operation), a reply that cannot be sent
 * (its work was done), a `ReplyError` or an error of ours that does not say `retryable`, a programming error, and an error
 * that lists `issues`, as schema libraries throw. Everything else may be another time: a plain `Error`, a database's, the
 * network's, also where it comes as a `TypeError`, as `fetch` has it.
 */
import { MilenaError, remoteCodes, ReplyError } from '../errors.ts'
import type { ErrorOutcome } from '../replier/outcome.ts'

/**
 * Whether a request that has failed is to be tried again.
 *
 * @param error what was thrown; `undefined` when the library has refused the request
 */
export type Retryable = (error: unknown, outcome: ErrorOutcome) => boolean

/** How deep causes are looked into. */
const deepest = 8

const programming: readonly (abstract new (...args: never[]) => Error)[] = [
  TypeError,
  RangeError,
  ReferenceError,
  SyntaxError,
  EvalError,
  URIError,
]
const programmingNames: ReadonlySet<unknown> = new Set(programming.map(({ name }) => name))

/** The default: see above. Never throws, whatever was thrown. */
export const isRetryable: Retryable = (error, outcome) => {
  try {
    // `MILENA_HANDLER_FAILED`: something was thrown, and only that says what it means. Any other code speaks for itself.
    if (error instanceof ReplyError || outcome.code !== remoteCodes.handlerFailed)
      return outcome.retryable === true
    if (error instanceof MilenaError) return error.retryable
    if (!(error instanceof Error)) return true
    if (Array.isArray((error as { issues?: unknown }).issues)) return false
    return !isProgrammingError(error) || isTrouble(error)
  } catch {
    return false // it cannot be looked at
  }
}

function isProgrammingError(error: Error): boolean {
  return (
    programming.some((type) => error instanceof type) ||
    programmingNames.has(error.name) ||
    codeOf(error) === 'ERR_ASSERTION'
  )
}

/** Whether it, or what has caused it, is the network's or the system's: `fetch` throws these as TypeErrors. */
function isTrouble(error: unknown): boolean {
  let cause = error
  for (let depth = 0; depth < deepest && cause instanceof Error; depth++) {
    const code = codeOf(cause)
    if (code !== undefined && isSystemCode(code)) return true
    cause = cause.cause
  }
  return false
}

function codeOf(error: Error): string | undefined {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : undefined
}

/** `ECONNREFUSED`, `EAI_AGAIN`, `UND_ERR_SOCKET`; not Node's own refusals of an argument, `ERR_…`, or undici's. */
function isSystemCode(code: string): boolean {
  if (code.startsWith('UND_ERR_')) return !undiciMisuse.has(code)
  return /^E[A-Z]+(_[A-Z]+)?$/.test(code) && !code.startsWith('ERR_') && !misuse.has(code)
}

/** What was given was wrong, and will be the next time. */
const undiciMisuse: ReadonlySet<string> = new Set(['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED'])
const misuse: ReadonlySet<string> = new Set(['EINVAL'])
