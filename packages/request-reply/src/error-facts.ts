/** What is true of each error's code: `docs/errors.md` lists them. */

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
