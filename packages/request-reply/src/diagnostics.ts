/**
 * The named `diagnostics_channel`s on which every step of a request can be watched. Nothing is built unless somebody
 * listens. Payloads never appear: ids, topics, sizes and times only. `docs/diagnostics.md` lists them.
 *
 * Of every request that was accepted there is exactly one `milena:request:ended`; of one that was not, exactly one
 * `milena:request:rejected`. Of every record that a replier has read there is exactly one `milena:handling:ended`.
 */
import { channel, tracingChannel, type Channel, type TracingChannel } from 'node:diagnostics_channel'
import type { ErrorCode } from './error-facts.ts'
import type { RawHeader } from './wire/headers.ts'
import type { RecordPosition } from './wire/position.ts'

/** What each message says of the request. The correlation id is in hexadecimal. */
export interface RequestStep {
  readonly operation: string
  readonly topic: string
  readonly correlationId: string
  readonly instanceId: string
}

export interface SentStep extends RequestStep {
  readonly position: RecordPosition
  /** Which dispatch of the request it was, from 1. */
  readonly attempt: number
  /** Of key, value and headers. */
  readonly bytes: number
}

export interface ReceivedStep extends RequestStep {
  readonly position: RecordPosition
  /** Milliseconds from acceptance to the reply's arrival. */
  readonly roundTrip: number
  /** The replier's error code, when it answered with an error. */
  readonly errorCode: string | undefined
  /** Of the reply's key, value and headers. */
  readonly bytes: number
  /** When the reply was written, in milliseconds since the Unix epoch. */
  readonly timestamp: number
}

/**
 * How a request ended. `failed`: not sent, or a reply that cannot be read. `partial`: a `requestMany` that its timeout
 * ended, with one reply at least.
 */
export type RequestOutcome =
  | 'replied'
  | 'partial'
  | 'remote-error'
  | 'timed-out'
  | 'cancelled'
  | 'failed'
  | 'abandoned'

export interface RequestEndedStep extends RequestStep {
  readonly outcome: RequestOutcome
  /** Milliseconds from acceptance. */
  readonly duration: number
  /** `undefined` when it was replied to, in part too. */
  readonly error: Error | undefined
}

/** What became of a request that was sent one way. */
export interface SendEndedStep {
  readonly operation: string
  readonly topic: string
  readonly instanceId: string
  /** Where it stands; `undefined` when it was not acknowledged. */
  readonly position: RecordPosition | undefined
  /** Of key, value and headers. */
  readonly bytes: number
  /** Milliseconds from acceptance until the transport let go of it. */
  readonly duration: number
  /** `undefined` when it was acknowledged. */
  readonly error: Error | undefined
}

/** A request that was never accepted: overloaded, invalid, closed, not receiving, not sendable. */
export interface RejectedStep {
  readonly operation: string
  readonly topic: string
  readonly instanceId: string
  readonly code: ErrorCode | undefined
  readonly error: Error
}

/** A reply that no pending request here is waiting for. */
export interface StrayStep {
  readonly correlationId: string | undefined
  readonly instanceId: string
  readonly position: RecordPosition
}

/** A step at the replier. */
export interface HandlingStep {
  readonly operation: string | undefined
  /** As it came, in hexadecimal; `undefined` when the request has none. */
  readonly correlationId: string | undefined
  readonly groupId: string
  readonly position: RecordPosition
  /** Of the request's key, value and headers. */
  readonly bytes: number
  /** When the request was written, in milliseconds since the Unix epoch. */
  readonly timestamp: number
  /** Which try it is to handle this record here, from 1. */
  readonly attempt: number
}

export interface HandlerEndedStep extends HandlingStep {
  /** Milliseconds that the handler took. */
  readonly duration: number
  /** The code of the error reply, when it failed. */
  readonly errorCode: string | undefined
}

export interface RepliedStep extends HandlingStep {
  readonly reply: RecordPosition
}

export interface PassedOverStep extends HandlingStep {
  /** Why the record cannot be answered. */
  readonly reason: string
}

/** What became of a record that a replier has read; `dropped`: its partition went before its turn came. */
export type HandlingOutcome =
  | 'replied'
  | 'error-replied'
  | 'done'
  | 'handed-over'
  | 'passed-over'
  | 'abandoned'
  | 'dropped'

export interface HandlingEndedStep extends HandlingStep {
  readonly outcome: HandlingOutcome
  /** The error reply's code, or why it was passed over. */
  readonly reason: string | undefined
  /** Milliseconds that the record waited for its turn, that its handling took, and until its reply was acknowledged. */
  readonly waited: number
  readonly handled: number
  readonly delivered: number
}

export interface CommittedStep {
  readonly groupId: string
  readonly offsets: readonly RecordPosition[]
}

export interface WarningStep {
  /** Who tells, and what: a fixed sentence. */
  readonly context: string
  /** What the sentence is about, as `Logger.warn` has it. */
  readonly details: Readonly<Record<string, unknown>>
  /** What was thrown; an error that says the sentence, where nothing was. */
  readonly error: Error
}

/**
 * What a subscriber of a tracing channel gets: the same object at its start and end, so that it can keep a span there.
 * At a request's start `headers` may be added to: they are sent.
 */
export interface RequestTrace extends Omit<RequestStep, 'correlationId'> {
  readonly correlationId: string
  readonly headers: RawHeader[]
  error?: unknown
  result?: unknown
}

/** As `RequestTrace`, of a request that is sent one way. */
export interface SendTrace extends Omit<RequestTrace, 'correlationId'> {}

/** `headers` are those of the request. What `start` subscribers enter by `bindStore` the handler runs in. */
export interface HandlingTrace extends HandlingStep {
  readonly headers: readonly RawHeader[]
  error?: unknown
  result?: unknown
}

/** A channel by its name, with what is published on it. */
export interface Diagnostic<Message> {
  readonly name: string
  readonly hasSubscribers: boolean
  publish(message: Message): void
}

function diagnostic<Message>(name: string): Diagnostic<Message> {
  return channel(name) as Channel & Diagnostic<Message>
}

/** Requester: the request has a place among the pending and goes to the transport. */
export const requestAccepted: Diagnostic<RequestStep> = diagnostic('milena:request:accepted')
/** Requester: the brokers have acknowledged the request. */
export const requestSent: Diagnostic<SentStep> = diagnostic('milena:request:sent')
/** Requester: an accepted request has its outcome; once for each. */
export const requestEnded: Diagnostic<RequestEndedStep> = diagnostic('milena:request:ended')
/** Requester: a request was not accepted; once for each. */
export const requestRejected: Diagnostic<RejectedStep> = diagnostic('milena:request:rejected')
/** Requester: the transport has let go of a request that was sent one way; once for each that was accepted. */
export const sendEnded: Diagnostic<SendEndedStep> = diagnostic('milena:send:ended')
/** Requester: the reply, or error reply, of a pending request has come; of a `requestMany` each. */
export const replyReceived: Diagnostic<ReceivedStep> = diagnostic('milena:reply:received')
/** Requester: the reply of a request that had been given up, or answered with an error that left its effect open; of a `requestMany` that had its outcome. */
export const replyLate: Diagnostic<ReceivedStep> = diagnostic('milena:reply:late')
/** Requester: a second reply to a request that has its outcome; of a `requestMany`, a group's second one. */
export const replyDuplicate: Diagnostic<StrayStep> = diagnostic('milena:reply:duplicate')
/** Requester: a reply to a request that this instance did not make, or has forgotten. */
export const replyForeign: Diagnostic<StrayStep> = diagnostic('milena:reply:foreign')
/** Replier: a request was read. */
export const requestReceived: Diagnostic<HandlingStep> = diagnostic('milena:request:received')
/** Replier: the handler begins. */
export const handlerStarted: Diagnostic<HandlingStep> = diagnostic('milena:handler:started')
/** Replier: the handler has ended. */
export const handlerEnded: Diagnostic<HandlerEndedStep> = diagnostic('milena:handler:ended')
/** Replier: the brokers have acknowledged the reply. */
export const replySent: Diagnostic<RepliedStep> = diagnostic('milena:reply:sent')
/** Replier: a record that cannot be answered was passed over. */
export const requestPassedOver: Diagnostic<PassedOverStep> = diagnostic('milena:request:passed-over')
/** Replier: nothing is left to do for a record here; once for each. */
export const handlingEnded: Diagnostic<HandlingEndedStep> = diagnostic('milena:handling:ended')
/** Replier: offsets were committed. */
export const offsetsCommitted: Diagnostic<CommittedStep> = diagnostic('milena:offsets:committed')
/** Something that an operator should know and that no caller is told: each one, where a logger gets one and a count. */
export const warning: Diagnostic<WarningStep> = diagnostic('milena:warning')

/** Around a request, from before its record is made to its outcome: `tracing:milena:request:start` and so on. */
export const requestTracing: TracingChannel<unknown, RequestTrace> = tracingChannel('milena:request')
/** Around a request that is sent one way, from before its record is made until the transport lets go of it. */
export const sendTracing: TracingChannel<unknown, SendTrace> = tracingChannel('milena:send')
/** Around a handler, with its middleware: `tracing:milena:handling:start` and so on. */
export const handlingTracing: TracingChannel<unknown, HandlingTrace> = tracingChannel('milena:handling')

/** Every name, for whoever subscribes to all. */
export const channelNames: readonly string[] = [
  requestAccepted,
  requestSent,
  requestEnded,
  requestRejected,
  sendEnded,
  replyReceived,
  replyLate,
  replyDuplicate,
  replyForeign,
  requestReceived,
  handlerStarted,
  handlerEnded,
  replySent,
  requestPassedOver,
  handlingEnded,
  offsetsCommitted,
  warning,
].map(({ name }) => name)
