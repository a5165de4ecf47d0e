/** What a worker's answer means for a payment. */
import { RemoteError, type MilenaError } from '@milena/request-reply'
import { workerErrors, type ProviderOutcome } from '../operations.ts'
import type { Outcome } from './payment.ts'

export function outcomeOf(told: ProviderOutcome): Outcome {
  return told.status === 'approved'
    ? { state: 'approved', approvalId: told.approvalId }
    : { state: 'declined', reason: told.reason }
}

/** Only the provider's own failure is an outcome: see `workerErrors`. */
export function outcomeOfError(error: MilenaError | undefined): Outcome | undefined {
  if (!(error instanceof RemoteError) || error.remoteCode !== workerErrors.providerFailed) return undefined
  return { state: 'failed', reason: error.remoteMessage }
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
