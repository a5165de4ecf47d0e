/** What a worker's answer means for a payment. */
import type { RemoteError } from '@milena/request-reply'
import { workerErrors, type ProviderOutcome } from '../operations.ts'
import type { Outcome, Payment } from './payment.ts'

export function outcomeOf(told: ProviderOutcome): Outcome {
  return told.status === 'approved'
    ? { state: 'approved', approvalId: told.approvalId }
    : { state: told.status, reason: told.reason }
}

/** What is compared of a payment. */
export type Asked = Pick<Payment, 'kind' | 'id' | 'orderId' | 'amount'>

/**
 * Why a reply is not about this payment, if so. A correlation id says to which request a reply belongs, and whoever can
 * read the request topic can copy it into a request of its own: what is approved is for the content to say.
 */
export function mismatchOf(told: ProviderOutcome, { kind, id, orderId, amount }: Asked): string | undefined {
  const refundId = kind === 'refund' ? id : undefined
  if (told.orderId === orderId && told.refundId === refundId && told.amount === amount) return undefined
  const about = told.refundId === undefined ? `the charge of ${told.orderId}` : `the refund ${told.refundId}`
  return `the reply is about another payment: ${about}, ${told.amount}`
}

/** Errors that say no more than a timeout does. */
export function isSilence(error: RemoteError): boolean {
  const silent: readonly string[] = [
    workerErrors.providerSilent,
    workerErrors.providerUnreachable,
    workerErrors.paymentExpired,
    'MILENA_DEADLINE_EXCEEDED',
  ]
  return silent.includes(error.remoteCode)
}
