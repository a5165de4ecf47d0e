/**
 * Every error of the library. Callers match `code`, which never changes its meaning; `docs/errors.md` lists them.
 */

import type { RecordPosition } from './wire/position.ts'
import { classOf, foreign } from './words.ts'

/** Whether the request, or the record, reached the brokers. `unknown`: it may have. */
export type SentState = 'no' | 'yes' | 'unknown'

/**
 * What is known of what a request has done outside: nothing, its work, or nothing is known. `unknown` is the default:
 * the work may have been done, or may yet be.
 */
export type Effect = 'none' | 'done' | 'unknown'

export type ErrorCode =
  | 'MILENA_OPTIONS_INVALID'
  | 'MILENA_REQUEST_INVALID'
  | 'MILENA_REPLY_INVALID'
  | 'MILENA_CODEC_FAILED'
  | 'MILENA_OVERLOADED'
  | 'MILENA_NOT_RECEIVING'
  | 'MILENA_CLOSED'
  | 'MILENA_TIMEOUT'
  | 'MILENA_CANCELLED'
  | 'MILENA_ABANDONED'
  | 'MILENA_REMOTE_ERROR'
  | 'MILENA_UNTIL_FAILED'
  | 'MILENA_TOO_MANY_REPLIES'
  | 'MILENA_TOPIC_MISSING'
  | 'MILENA_PARTITION_MISSING'
  | 'MILENA_NOT_AUTHORIZED'
  | 'MILENA_AUTHENTICATION_FAILED'
  | 'MILENA_RECORD_TOO_LARGE'
  | 'MILENA_NOT_SENT'
  | 'MILENA_SEND_UNKNOWN'
  | 'MILENA_BROKER_UNREACHABLE'
  | 'MILENA_BROKER_ERROR'
  | 'MILENA_COMMIT_FENCED'
  | 'MILENA_NOT_MIGRATED'
  | 'MILENA_JOURNAL_FAILED'
  | 'MILENA_JOURNAL_TAKEN'
  | 'MILENA_SAGA_CONFLICT'
  | 'MILENA_SAGA_BUSY'

/** What an error says of the request, or the record, that it is about. */
export interface ErrorFacts {
  readonly sent: SentState
  readonly outcomeKnown: boolean
  readonly retryable: boolean
  readonly effect: Effect
}

/** Certainly not in the log, so certainly not done. */
const unsent = { sent: 'no', outcomeKnown: true, retryable: false, effect: 'none' } as const
/** Nothing is known but that the request was on its way. */
const open = { sent: 'yes', outcomeKnown: false, retryable: false, effect: 'unknown' } as const

/** The error codes, with what is true of each unless the error itself knows better. */
export const errorCodes: Readonly<Record<ErrorCode, ErrorFacts>> = {
  /** Options that cannot work; every problem is listed in the message. */
  MILENA_OPTIONS_INVALID: unsent,
  /** The request does not match the operation's schema, at the requester (not sent) or at the replier (error reply). */
  MILENA_REQUEST_INVALID: unsent,
  /** The reply does not match the operation's schema. The replier says that the work was done; what it gave is not known. */
  MILENA_REPLY_INVALID: { ...open, effect: 'done' },
  /** Bytes that the operation's codec cannot decode, or a value that it cannot encode. */
  MILENA_CODEC_FAILED: unsent,
  /** Too many pending requests, or too many bytes in them: rejected at once. */
  MILENA_OVERLOADED: { ...unsent, retryable: true },
  /** Replies cannot be received at present (`requester.health()` says why): rejected at once, before it was sent. */
  MILENA_NOT_RECEIVING: { ...unsent, retryable: true },
  /** The requester or replier is closing or closed: rejected at once. */
  MILENA_CLOSED: unsent,
  /** No reply came in time. The request may have been, or may yet be, handled. */
  MILENA_TIMEOUT: open,
  /** The caller's `AbortSignal` fired. The request may have been, or may yet be, handled. */
  MILENA_CANCELLED: open,
  /** The requester was closed before the reply came. */
  MILENA_ABANDONED: open,
  /** The replier answered with an error; what is known beyond that depends on its code (`remoteFacts`) and on what it said itself. */
  MILENA_REMOTE_ERROR: open,
  /** The `until` of a `requestMany` threw, or gave something else than true or false. What had come: `gatheredIn`. */
  MILENA_UNTIL_FAILED: open,
  /** More replies came to a `requestMany` than `maxReplies`, or the requester's `maxPendingBytes`, has room for. What had come: `gatheredIn`. */
  MILENA_TOO_MANY_REPLIES: open,
  /** A topic does not exist; nothing is created by accident. */
  MILENA_TOPIC_MISSING: unsent,
  /** A partition number that the topic does not have. */
  MILENA_PARTITION_MISSING: unsent,
  /** The broker refuses this user a right on a topic, a group or the cluster. */
  MILENA_NOT_AUTHORIZED: unsent,
  /** Wrong credentials, or a certificate that is not trusted. */
  MILENA_AUTHENTICATION_FAILED: unsent,
  /** The record is larger than the topic or the broker accepts. */
  MILENA_RECORD_TOO_LARGE: unsent,
  /** Not delivered before the delivery deadline, or taken back, and certainly not in the log; not retryable if it is no record. */
  MILENA_NOT_SENT: { ...unsent, retryable: true },
  /** Not acknowledged before the delivery deadline; the record may be in the log. */
  MILENA_SEND_UNKNOWN: { ...open, sent: 'unknown' },
  /** No broker answered within the bound. */
  MILENA_BROKER_UNREACHABLE: { ...unsent, retryable: true },
  /** The brokers refused for another reason; the message has Kafka's error name. */
  MILENA_BROKER_ERROR: unsent,
  /** A commit for a partition that this member no longer holds, or the member's place in the group is lost; the partition's new owner does the work again. */
  MILENA_COMMIT_FENCED: { ...unsent, effect: 'unknown' },
  /** A store's tables are not in the database: a migration has not been applied. */
  MILENA_NOT_MIGRATED: unsent,
  /** The journal cannot be written: the request was not sent. Or, at the start, it cannot be read. */
  MILENA_JOURNAL_FAILED: { ...unsent, retryable: true },
  /** Another process has the journal of this instance id: this one does not start, or sends nothing any more. */
  MILENA_JOURNAL_TAKEN: unsent,
  /** A saga's id was used before, for another saga or with another input. */
  MILENA_SAGA_CONFLICT: unsent,
  /** A saga is being worked on by another process, which does not let go of it; nothing was changed. */
  MILENA_SAGA_BUSY: { ...unsent, retryable: true },
}

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

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
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
    super('MILENA_OPTIONS_INVALID', `${what}: ${problems.join('; ')}`, details)
    this.problems = problems
  }
}

brand(OptionsError, 'OptionsError')

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
    super(
      'MILENA_REMOTE_ERROR',
      `operation ${operation}: ${foreign(remoteCode, 128)}: ${foreign(remoteMessage)}`,
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

  /** @throws OptionsError of options that there are not: `retriable` would else be no retry, without a word */
  constructor(code: string, message: string, options: ReplyErrorOptions = {}) {
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
