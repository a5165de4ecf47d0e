/**
 * Every error of the library. Callers match `code`, which never changes its meaning; `docs/errors.md` lists them.
 */

/** Whether the request, or the record, reached the brokers. `unknown`: it may have. */
export type SentState = 'no' | 'yes' | 'unknown'

export type ErrorCode =
  | 'MILENA_OPTIONS_INVALID'
  | 'MILENA_REQUEST_INVALID'
  | 'MILENA_REPLY_INVALID'
  | 'MILENA_CODEC_FAILED'
  | 'MILENA_OVERLOADED'
  | 'MILENA_CLOSED'
  | 'MILENA_TIMEOUT'
  | 'MILENA_CANCELLED'
  | 'MILENA_ABANDONED'
  | 'MILENA_REMOTE_ERROR'
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

/** What an error says of the request, or the record, that it is about. */
export interface ErrorFacts {
  readonly sent: SentState
  readonly outcomeKnown: boolean
  readonly retryable: boolean
}

/** The error codes, with what is true of each unless the error itself knows better. */
export const errorCodes: Readonly<Record<ErrorCode, ErrorFacts>> = {
  /** Options that cannot work; every problem is listed in the message. */
  MILENA_OPTIONS_INVALID: { sent: 'no', outcomeKnown: true, retryable: false },
  /** The request does not match the operation's schema, at the requester (not sent) or at the replier (error reply). */
  MILENA_REQUEST_INVALID: { sent: 'no', outcomeKnown: true, retryable: false },
  /** The reply does not match the operation's schema; at the requester: the work was done. */
  MILENA_REPLY_INVALID: { sent: 'yes', outcomeKnown: false, retryable: false },
  /** Bytes that the operation's codec cannot decode, or a value that it cannot encode. */
  MILENA_CODEC_FAILED: { sent: 'no', outcomeKnown: true, retryable: false },
  /** Too many pending requests, or too many bytes in them: rejected at once. */
  MILENA_OVERLOADED: { sent: 'no', outcomeKnown: true, retryable: true },
  /** The requester or replier is closing or closed: rejected at once. */
  MILENA_CLOSED: { sent: 'no', outcomeKnown: true, retryable: false },
  /** No reply came in time. The request may have been, or may yet be, handled. */
  MILENA_TIMEOUT: { sent: 'yes', outcomeKnown: false, retryable: false },
  /** The caller's `AbortSignal` fired. The request may have been, or may yet be, handled. */
  MILENA_CANCELLED: { sent: 'yes', outcomeKnown: false, retryable: false },
  /** The requester was closed before the reply came. */
  MILENA_ABANDONED: { sent: 'yes', outcomeKnown: false, retryable: false },
  /** The replier answered with an error. */
  MILENA_REMOTE_ERROR: { sent: 'yes', outcomeKnown: true, retryable: false },
  /** A topic does not exist; nothing is created by accident. */
  MILENA_TOPIC_MISSING: { sent: 'no', outcomeKnown: true, retryable: false },
  /** A partition number that the topic does not have. */
  MILENA_PARTITION_MISSING: { sent: 'no', outcomeKnown: true, retryable: false },
  /** The broker refuses this user a right on a topic, a group or the cluster. */
  MILENA_NOT_AUTHORIZED: { sent: 'no', outcomeKnown: true, retryable: false },
  /** Wrong credentials, or a certificate that is not trusted. */
  MILENA_AUTHENTICATION_FAILED: { sent: 'no', outcomeKnown: true, retryable: false },
  /** The record is larger than the topic or the broker accepts. */
  MILENA_RECORD_TOO_LARGE: { sent: 'no', outcomeKnown: true, retryable: false },
  /** Not delivered before the delivery deadline, and certainly not in the log. */
  MILENA_NOT_SENT: { sent: 'no', outcomeKnown: true, retryable: true },
  /** Not acknowledged before the delivery deadline; the record may be in the log. */
  MILENA_SEND_UNKNOWN: { sent: 'unknown', outcomeKnown: false, retryable: false },
  /** No broker answered within the bound. */
  MILENA_BROKER_UNREACHABLE: { sent: 'no', outcomeKnown: true, retryable: true },
  /** The brokers refused for another reason; the message has Kafka's error name. */
  MILENA_BROKER_ERROR: { sent: 'no', outcomeKnown: true, retryable: false },
  /** A commit for a partition that this member no longer holds; the partition's new owner does the work again. */
  MILENA_COMMIT_FENCED: { sent: 'no', outcomeKnown: true, retryable: false },
}

export interface ErrorDetails {
  readonly cause?: unknown
  /** When this error knows better than its code. */
  readonly sent?: SentState | undefined
  readonly outcomeKnown?: boolean | undefined
  readonly retryable?: boolean | undefined
}

/** The base of every error that the library throws. */
export class MilenaError extends Error {
  /** Stable; match this, never the message. */
  readonly code: ErrorCode
  /** Whether the request (or record) reached the brokers. */
  readonly sent: SentState
  /** Whether it is known what became of the request: false means that the work may have been done, or may yet be. */
  readonly outcomeKnown: boolean
  /** Whether doing the same again, later, can succeed and is safe. */
  readonly retryable: boolean

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    const defaults = errorCodes[code]
    this.code = code
    this.sent = details.sent ?? defaults.sent
    this.outcomeKnown = details.outcomeKnown ?? defaults.outcomeKnown
    this.retryable = details.retryable ?? defaults.retryable
  }

  override get name(): string {
    return this.constructor.name
  }
}

/** The transport could not do what it was asked: a broker's refusal, a deadline, a lost cluster. */
export class TransportError extends MilenaError {}

/** Options, or an operation's definition, that cannot work. */
export class OptionsError extends MilenaError {
  /** Every problem found, not only the first. */
  readonly problems: readonly string[]

  constructor(what: string, problems: readonly string[], details: ErrorDetails = {}) {
    super('MILENA_OPTIONS_INVALID', `${what}: ${problems.join('; ')}`, details)
    this.problems = problems
  }
}

/** A problem for each option that nobody knows: a name that was mistyped would else be ignored. */
export function unknownOptions(options: object, known: ReadonlySet<string>): string[] {
  return Object.keys(options)
    .filter((name) => !known.has(name))
    .map((name) => `there is no option ${name}`)
}

/** One failing path of a value that a schema refused. */
export interface ValidationIssue {
  /** Where in the value, such as `items[2].price`; empty for the value itself. */
  readonly path: string
  readonly message: string
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
    const list = issues.map((issue) => `${issue.path || '(the value)'}: ${issue.message}`).join('; ')
    super(code, `operation ${operation}: invalid ${what}: ${list}`, details)
    this.operation = operation
    this.issues = issues
  }
}

/** No reply came in time: the outcome is unknown. A reply that comes later is handed to `onLateReply`. */
export class TimeoutError extends MilenaError {
  readonly operation: string
  /** Milliseconds that were waited. */
  readonly timeout: number

  constructor(operation: string, timeout: number, details: ErrorDetails = {}) {
    super(
      'MILENA_TIMEOUT',
      `operation ${operation}: no reply within ${timeout} ms; the outcome is unknown`,
      details,
    )
    this.operation = operation
    this.timeout = timeout
  }
}

/** The replier's error, as it came over the wire. */
export class RemoteError extends MilenaError {
  readonly operation: string
  /** The replier's own code: a `ReplyError`'s, or one of `MILENA_HANDLER_FAILED`, `MILENA_REQUEST_INVALID`, `MILENA_CODEC_FAILED`, `MILENA_REPLY_INVALID`, `MILENA_DEADLINE_EXCEEDED`, `MILENA_OPERATION_UNKNOWN`. */
  readonly remoteCode: string
  /** The replier's message, without our prefix. */
  readonly remoteMessage: string

  constructor(operation: string, remoteCode: string, remoteMessage: string, details: ErrorDetails = {}) {
    super('MILENA_REMOTE_ERROR', `operation ${operation}: ${remoteCode}: ${remoteMessage}`, details)
    this.operation = operation
    this.remoteCode = remoteCode
    this.remoteMessage = remoteMessage
  }
}

/** The codes that a replier of ours itself puts into an error reply; `docs/errors.md` lists them too. */
export interface RemoteCodes {
  /** The handler threw something that is not a `ReplyError`. */
  readonly handlerFailed: 'MILENA_HANDLER_FAILED'
  /** The request does not match the operation's schema. */
  readonly requestInvalid: 'MILENA_REQUEST_INVALID'
  /** The request's bytes cannot be decoded. */
  readonly requestUndecodable: 'MILENA_CODEC_FAILED'
  /** What the handler returned does not match the operation's schema: the work was done. */
  readonly replyInvalid: 'MILENA_REPLY_INVALID'
  /** The request's deadline had passed before a handler began: the work was not done. */
  readonly deadlineExceeded: 'MILENA_DEADLINE_EXCEEDED'
  /** No handler for the operation that the request names. */
  readonly operationUnknown: 'MILENA_OPERATION_UNKNOWN'
}

export const remoteCodes: RemoteCodes = {
  handlerFailed: 'MILENA_HANDLER_FAILED',
  requestInvalid: 'MILENA_REQUEST_INVALID',
  requestUndecodable: 'MILENA_CODEC_FAILED',
  replyInvalid: 'MILENA_REPLY_INVALID',
  deadlineExceeded: 'MILENA_DEADLINE_EXCEEDED',
  operationUnknown: 'MILENA_OPERATION_UNKNOWN',
}

/** Thrown by a handler to answer with an error that is the caller's to see. */
export class ReplyError extends Error {
  /** What the requester sees as `RemoteError.remoteCode`; at most 128 bytes. */
  readonly code: string

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }

  override get name(): string {
    return 'ReplyError'
  }
}
