/** How a request ends without a reply, as the error that its caller gets. */
import type { AnyOperation } from '../contract/operation.ts'
import { MilenaError, TimeoutError, TransportError, type SentState } from '../errors.ts'
import type { PendingReply } from './pending.ts'

export function timedOut(pending: PendingReply): TimeoutError {
  return new TimeoutError(pending.operation.name, pending.timeout, { sent: sentState(pending) })
}

export function cancelled(pending: PendingReply, signal: AbortSignal): MilenaError {
  return new MilenaError(
    'MILENA_CANCELLED',
    `operation ${pending.operation.name}: cancelled by the caller; the outcome is unknown`,
    { sent: sentState(pending), cause: signal.reason },
  )
}

export function cancelledBefore(operation: AnyOperation, signal: AbortSignal): MilenaError {
  return new MilenaError(
    'MILENA_CANCELLED',
    `operation ${operation.name}: cancelled by the caller; nothing was sent`,
    { sent: 'no', outcomeKnown: true, cause: signal.reason },
  )
}

export function abandoned(pending: PendingReply): MilenaError {
  return new MilenaError(
    'MILENA_ABANDONED',
    `operation ${pending.operation.name}: the requester was closed before the reply came; the outcome is unknown`,
    { sent: sentState(pending) },
  )
}

export function notReady(operation: AnyOperation, timeout: number): TransportError {
  return new TransportError(
    'MILENA_NOT_SENT',
    `operation ${operation.name}: not sent within ${timeout} ms: ` +
      `the brokers did not describe topic ${operation.topic}, or the request's schema did not come to an end, in time`,
  )
}

function sentState({ position }: PendingReply): SentState {
  return position === undefined ? 'unknown' : 'yes'
}
