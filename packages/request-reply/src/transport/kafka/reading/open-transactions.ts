/** Transactions of others that stay open, and keep what stands behind them from being read (`read_committed`). */
import { TransportError } from '../../../errors.ts'
import type { ReadPartition } from './broker-fetcher.ts'
import type { FetchedPartition } from './fetch-api.ts'

/** For how many milliseconds the partition has stood before one, by this answer too; 0 when it does not. */
export function openFor(
  one: ReadPartition,
  { records, lastStable, highWatermark }: FetchedPartition,
  now: number,
): number {
  if (records !== undefined || one.position < lastStable || lastStable >= highWatermark) {
    one.stalledSince = undefined
    return 0
  }
  one.stalledSince ??= now
  return now - one.stalledSince
}

export function transactionOpen(
  { topic, partition }: ReadPartition,
  { lastStable }: FetchedPartition,
  milliseconds: number,
): TransportError {
  return new TransportError(
    'MILENA_BROKER_ERROR',
    `reading topic ${topic}, partition ${partition}: a transaction that began at offset ${lastStable} has been open for ` +
      `${milliseconds} ms, and nothing behind it is read before it ends; see to its producer, or abort it ` +
      '(kafka-transactions find-hanging, abort)',
    { retryable: true },
  )
}
