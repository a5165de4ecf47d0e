/**
 * Every error of the library. Callers match `code`, which never changes its meaning; `docs/errors.md` lists them.
 */

import { errorCodes, type Effect, type ErrorCode, type ErrorFacts, type SentState } from './error-facts.ts'
import type { RecordPosition } from './wire/position.ts'
import { classOf, foreign, saidWord } from './words.ts'

export interface ErrorDetails {
  readonly cause?: unknown
  /** When this error knows better than its code. */
  readonly sent?: SentState | undefined
  readonly outcomeKnown?: boolean | undefined
  readonly retryable?: boolean | undefined
  readonly effect?: Effect | undefined
  readonly request?: RequestFacts | undefined
}

/** Which request an error is about: what ties it to logs, records and late replies. */
export interface RequestFacts {
  readonly operation: string
  /** In hexadecimal, 32 digits. */
  readonly correlationId: string
  readonly topic: string
  /** As bytes; `null` for none. */
  readonly key: Buffer | null
  /** Where the request stands in the log; `undefined` while the brokers have not acknowledged it. */
  readonly position: RecordPosition | undefined
}

/**
 * Marks a class of ours, so that `instanceof` knows its errors when two copies of this package are loaded (an
 * application's and one of a library of its). A class that somebody derives from it is told apart as usual.
 */
function brand(type: abstract new (...args: never) => Error, name: string): void {
  const mark = Symbol.for(`@milena/request-reply ${name}`)
  Object.defineProperty(type.prototype, mark, { value: true })
  Object.defineProperty(type, Symbol.hasInstance, {
    value(this: unknown, value: unknown): boolean {
      if (this !== type) return Function.prototype[Symbol.hasInstance].call(this as typeof type, value)
      try {
        return (
          typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[mark] === true
        )
      } catch {
        return false // a proxy that refuses
      }
    },
  })
}

/** The base of every error that the library throws. */
export class MilenaError extends Error {
  /** Stable; match this, never the message. */
  readonly code: ErrorCode
  /** Whether the request (or record) reached the brokers. */
  readonly sent: SentState
  /**
   * Whether it is known how the request ended. False: ask before it is done again, since its work may have been done, or
   * may yet be, or was done with a result that is not known.
   */
  readonly outcomeKnown: boolean
  /** Whether doing the same again, later, can succeed and is safe. */
  readonly retryable: boolean
  /** What is known of what the request has done outside. */
  readonly effect: Effect
  /** The request that it is about; on every error of a request that was accepted. */
  readonly request: RequestFacts | undefined

  /** @throws OptionsError of a code that there is not, and of details that are none */
  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    const known = typeof code === 'string' && Object.hasOwn(errorCodes, code)
    if (!known) throw new OptionsError(new.target.name, [`there is no code ${saidWord(code)}`])
    if (typeof details !== 'object' || (details as unknown) === null)
      throw new OptionsError(new.target.name, [`its details must be an object, not ${classOf(details)}`])
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    const defaults = errorCodes[code]
    this.code = code
    this.sent = details.sent ?? defaults.sent
    this.outcomeKnown = details.outcomeKnown ?? defaults.outcomeKnown
    this.retryable = details.retryable ?? defaults.retryable
    this.effect = details.effect ?? defaults.effect
    this.request = details.request
  }

  override get name(): string {
    return this.constructor.name
  }
}

brand(MilenaError, 'MilenaError')

/** The transport could not do what it was asked: a broker's refusal, a deadline, a lost cluster. */
export class TransportError extends MilenaError {}

brand(TransportError, 'TransportError')

/** Options, or an operation's definition, that cannot work. */
export class OptionsError extends MilenaError {
  /** Every problem found, not only the first. */
  readonly problems: readonly string[]

  constructor(what: string, problems: readonly string[], details: ErrorDetails = {}) {
    refuseNoTexts('OptionsError', { what })
    refuseNoList(
      'OptionsError',
      'problems must be a list of texts',
      problems,
      (one) => typeof one === 'string',
    )
    super('MILENA_OPTIONS_INVALID', `${what}: ${problems.join('; ')}`, details)
    this.problems = problems
  }
}

brand(OptionsError, 'OptionsError')

function refuseNoList(of: string, wanted: string, list: unknown, isOne: (one: unknown) => boolean): void {
  if (Array.isArray(list) && list.every(isOne)) return
  throw new OptionsError(of, [`${wanted}, not ${classOf(list)}`])
}

function refuseNoTexts(of: string, texts: Readonly<Record<string, unknown>>): void {
  const problems = Object.entries(texts)
    .filter(([, text]) => typeof text !== 'string')
    .map(([name, text]) => `${name} must be a text, not ${classOf(text)}`)
  if (problems.length > 0) throw new OptionsError(of, problems)
}

/** One failing path of a value that a schema refused. */
export interface ValidationIssue {
  /** Where in the value, such as `items[2].price`; empty for the value itself. */
  readonly path: string
  readonly message: string
}

/** The most issues that a message lists. */
const mostIssues = 20

/** The issues in one line, for a message: bounded, whatever a schema's author or a value has put into them. */
export function listIssues(issues: readonly ValidationIssue[]): string {
  const told = issues
    .slice(0, mostIssues)
    .map((issue) => `${foreign(issue.path, 200) || '(the value)'}: ${foreign(issue.message, 200)}`)
  if (issues.length > mostIssues) told.push(`and ${issues.length - mostIssues} more`)
  return told.join('; ')
}

/** A request or reply that does not match the operation's schema. */
export class ValidationError extends MilenaError {
  readonly operation: string
  readonly issues: readonly ValidationIssue[]

  constructor(
    code: 'MILENA_REQUEST_INVALID' | 'MILENA_REPLY_INVALID',
    operation: string,
    issues: readonly ValidationIssue[],
    details: ErrorDetails = {},
  ) {
    refuseNoList('ValidationError', 'issues must be a list of { path, message }', issues, (issue) => {
      const { path, message } = Object(issue) as Partial<ValidationIssue>
      return typeof path === 'string' && typeof message === 'string'
    })
    const what = code === 'MILENA_REQUEST_INVALID' ? 'request' : 'reply'
    super(code, `operation ${operation}: invalid ${what}: ${listIssues(issues)}`, details)
    this.operation = operation
    this.issues = issues
  }
}

brand(ValidationError, 'ValidationError')

/** No reply came in time: the outcome is unknown. A reply that comes later is handed to `onLateReply`. */
export class TimeoutError extends MilenaError {
  readonly operation: string
  /** Milliseconds that were waited. */
  readonly timeout: number

  /** @param why what is known of why there is none, such as that replies could not be received */
  constructor(operation: string, timeout: number, details: ErrorDetails = {}, why = '') {
    super(
      'MILENA_TIMEOUT',
      `operation ${operation}: no reply within ${timeout} ms; the outcome is unknown${why && `; ${why}`}`,
      details,
    )
    this.operation = operation
    this.timeout = timeout
  }
}

brand(TimeoutError, 'TimeoutError')

/** The replier's error, as it came over the wire. */
export class RemoteError extends MilenaError {
  readonly operation: string
  /** The replier's own code: a `ReplyError`'s, or one of `remoteCodes`. */
  readonly remoteCode: string
  /** The replier's message, as it came: somebody else's text. In `message` it is escaped and cut. */
  readonly remoteMessage: string

  constructor(operation: string, remoteCode: string, remoteMessage: string, details: ErrorDetails = {}) {
    refuseNoTexts('RemoteError', { remoteCode, remoteMessage })
    super(
      'MILENA_REMOTE_ERROR',
      `operation ${operation}: ${foreign(remoteCode, 128) || 'an error reply without a code'}` +
        (remoteMessage === '' ? '' : `: ${foreign(remoteMessage)}`),
      { ...remoteFacts(remoteCode), ...details },
    )
    this.operation = operation
    this.remoteCode = remoteCode
    this.remoteMessage = remoteMessage
  }
}

brand(RemoteError, 'RemoteError')

/** The codes that a replier of ours itself puts into an error reply; `docs/errors.md` lists them too. */
export interface RemoteCodes {
  /** The handler threw something that is not a `ReplyError`. */
  readonly handlerFailed: 'MILENA_HANDLER_FAILED'
  /** The handler did not end within `handlerTimeout`; it may yet. */
  readonly handlerTimeout: 'MILENA_HANDLER_TIMEOUT'
  /** The request does not match the operation's schema. */
  readonly requestInvalid: 'MILENA_REQUEST_INVALID'
  /** The request's bytes cannot be decoded. */
  readonly requestUndecodable: 'MILENA_CODEC_FAILED'
  /** The request's value is larger than the replier takes. */
  readonly requestTooLarge: 'MILENA_RECORD_TOO_LARGE'
  /** What the handler returned does not match the operation's schema, or cannot be sent: the work was done. */
  readonly replyInvalid: 'MILENA_REPLY_INVALID'
  /**
   * The request's deadline had passed before a handler began, and this delivery did nothing; or it stopped the handler,
   * and what that had done is not known. The message says which.
   */
  readonly deadlineExceeded: 'MILENA_DEADLINE_EXCEEDED'
  /** The request is older than the replier's `maxAge`: this delivery did nothing. */
  readonly requestTooOld: 'MILENA_REQUEST_TOO_OLD'
  /** The request's idempotency key is that of another content: this delivery did nothing. */
  readonly idempotencyKeyReused: 'MILENA_IDEMPOTENCY_KEY_REUSED'
  /** Somebody is at work on this idempotency key: this delivery did nothing. */
  readonly inProgress: 'MILENA_IN_PROGRESS'
  /** No handler for the operation that the request names: this delivery did nothing. */
  readonly operationUnknown: 'MILENA_OPERATION_UNKNOWN'
  /** The request was given up and is kept as a dead letter: an operator may have it done yet. */
  readonly deadLettered: 'MILENA_DEAD_LETTERED'
}

export const remoteCodes: RemoteCodes = {
  handlerFailed: 'MILENA_HANDLER_FAILED',
  handlerTimeout: 'MILENA_HANDLER_TIMEOUT',
  requestInvalid: 'MILENA_REQUEST_INVALID',
  requestUndecodable: 'MILENA_CODEC_FAILED',
  requestTooLarge: 'MILENA_RECORD_TOO_LARGE',
  replyInvalid: 'MILENA_REPLY_INVALID',
  deadlineExceeded: 'MILENA_DEADLINE_EXCEEDED',
  requestTooOld: 'MILENA_REQUEST_TOO_OLD',
  idempotencyKeyReused: 'MILENA_IDEMPOTENCY_KEY_REUSED',
  inProgress: 'MILENA_IN_PROGRESS',
  operationUnknown: 'MILENA_OPERATION_UNKNOWN',
  deadLettered: 'MILENA_DEAD_LETTERED',
}

const ownCodes: ReadonlySet<string> = new Set(Object.values(remoteCodes))

/** Whether the library itself gave this code, and not an application's `ReplyError`. */
function isOwnRemoteCode(code: string): boolean {
  return ownCodes.has(code)
}

/**
 * What an error reply says of the request: by its code, and by what the replier itself said.
 *
 * A refusal of the library's own speaks of its own delivery: the same request may have been done at an earlier one, or
 * by another group. So nothing is known of the effect, with two exceptions: a reply that cannot be sent was given by a
 * handler that had ended; and what is kept as a dead letter may have been done by then, as its replier says. (That nothing
 * was done it cannot say: the letter may be replayed.) An application's `ReplyError` knows better where it says so; with a code of ours nothing that
 * the wire adds is believed.
 */
export function remoteFacts(
  code: string,
  said: { readonly effect?: Effect | undefined; readonly retryable?: boolean | undefined } = {},
): Omit<ErrorFacts, 'sent'> {
  if (code === remoteCodes.replyInvalid) return { outcomeKnown: false, retryable: false, effect: 'done' }
  if (code === remoteCodes.deadLettered && said.effect === 'done')
    return { outcomeKnown: false, retryable: false, effect: 'done' }
  if (isOwnRemoteCode(code)) return { outcomeKnown: false, retryable: false, effect: 'unknown' }
  const effect = said.effect ?? 'unknown'
  return { outcomeKnown: effect !== 'unknown', retryable: said.retryable ?? false, effect }
}

/** What a `ReplyError` can say beyond its code and message. */
export interface ReplyErrorOptions extends ErrorOptions {
  /**
   * What the request has done outside, as far as the handler knows: `none` if it is certain that nothing was done for
   * this request, at no delivery of it; `done` if it was. The requester's `outcomeKnown` is true for both. Default
   * `unknown`.
   */
  readonly effect?: Effect
  /** Whether asking again, later, can succeed and is safe; default false. */
  readonly retryable?: boolean
}

const replyErrorOptions: ReadonlySet<string> = new Set<keyof ReplyErrorOptions>([
  'cause',
  'effect',
  'retryable',
])

function refuseErrorOptions(options: unknown): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new OptionsError('ReplyError', [`its options must be an object, not ${classOf(options)}`])
  const problems = Object.keys(options).filter((name) => !replyErrorOptions.has(name))
  if (problems.length === 0) return
  throw new OptionsError(
    'ReplyError',
    problems.map((name) => `there is no option ${name}`),
  )
}

/** Thrown by a handler to answer with an error that is the caller's to see. */
export class ReplyError extends Error {
  /** What the requester sees as `RemoteError.remoteCode`; at most 128 bytes. */
  readonly code: string
  readonly effect: Effect
  readonly retryable: boolean

  /**
   * @throws OptionsError of options that there are not: `retriable` would else be no retry, without a word; and of what is
   *   no code. Whoever does without types may give a number.
   */
  constructor(code: string, message: string, options: ReplyErrorOptions = {}) {
    if (typeof code !== 'number') refuseNoTexts('ReplyError', { code })
    refuseErrorOptions(options)
    super(message, options)
    this.code = code
    this.effect = options.effect ?? 'unknown'
    this.retryable = options.retryable ?? false
  }

  override get name(): string {
    return 'ReplyError'
  }
}

brand(ReplyError, 'ReplyError')
