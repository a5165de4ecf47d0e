/**
 * The named `diagnostics_channel`s on which every step of a request can be watched. Nothing is built unless somebody
 * listens. Payloads never appear: ids, topics, sizes and times only.
 */
import { channel, type Channel } from 'node:diagnostics_channel'
import type { RecordPosition } from './wire/position.ts'

/** What each message says of the request. The correlation id is in hexadecimal. */
export interface RequestStep {
  readonly operation: string
  readonly correlationId: string
  readonly instanceId: string
}

export interface SentStep extends RequestStep {
  readonly position: RecordPosition
}

export interface ReceivedStep extends RequestStep {
  readonly position: RecordPosition
  /** Milliseconds from acceptance to the reply's arrival. */
  readonly roundTrip: number
  /** The replier's error code, when it answered with an error. */
  readonly errorCode: string | undefined
}

/** A reply that no pending request here is waiting for. */
export interface StrayStep {
  readonly correlationId: string | undefined
  readonly instanceId: string
  readonly position: RecordPosition
}

export interface FailedStep extends RequestStep {
  readonly error: Error
}

/** A step at the replier. */
export interface HandlingStep {
  readonly operation: string | undefined
  /** As it came, in hexadecimal; `undefined` when the request has none. */
  readonly correlationId: string | undefined
  readonly groupId: string
  readonly position: RecordPosition
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

export interface CommittedStep {
  readonly groupId: string
  readonly offsets: readonly RecordPosition[]
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
/** Requester: the reply, or error reply, of a pending request has come. */
export const replyReceived: Diagnostic<ReceivedStep> = diagnostic('milena:reply:received')
/** Requester: no reply in time. */
export const requestTimedOut: Diagnostic<FailedStep> = diagnostic('milena:request:timed-out')
/** Requester: ended without a reply for another reason: cancelled, not sent, closed. */
export const requestFailed: Diagnostic<FailedStep> = diagnostic('milena:request:failed')
/** Requester: the reply of a request that had timed out or was cancelled. */
export const replyLate: Diagnostic<ReceivedStep> = diagnostic('milena:reply:late')
/** Requester: a second reply to a request that has its outcome. */
export const replyDuplicate: Diagnostic<StrayStep> = diagnostic('milena:reply:duplicate')
/** Requester: a reply to a request that this instance did not make. */
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
/** Replier: offsets were committed. */
export const offsetsCommitted: Diagnostic<CommittedStep> = diagnostic('milena:offsets:committed')
/** Something that an operator should know and that no caller is told: `context` says where. */
export const warning: Diagnostic<{ readonly context: string; readonly error: Error }> =
  diagnostic('milena:warning')
