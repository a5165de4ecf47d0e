/** How a record's failure is told; each error says whether the record may be in the log. */
import { TransportError, type ErrorDetails } from '../../../errors.ts'
import { longestTopicName, malformed, unsendable } from '../../malformed.ts'
import type { OutgoingRecord } from '../../transport.ts'
import { maxRecordSize, type BatchRecord } from './batch-encoding.ts'
import { errorName } from '../protocol/error-codes.ts'

/** A broker closes the connection on a larger request (`socket.request.max.bytes`), which would look like a failure to retry. */
const LARGEST_RECORD = 100 * 1024 * 1024 - 4_096

/** What every error says of a record that may have been appended, whatever its code. */
export const unknownFacts: ErrorDetails = { sent: 'unknown', outcomeKnown: false, retryable: false }

/** The error for a record that no broker can take; `undefined` when it may be tried. */
export function impossible(pending: BatchRecord): TransportError | undefined {
  const { topic, partition, key, headers } = pending.record
  const sound =
    pending.bodySize > 0 && // and a number
    typeof topic === 'string' &&
    topic.length <= longestTopicName &&
    (key === null || Buffer.isBuffer(key)) &&
    Array.isArray(headers)
  if (!sound) return notARecord(pending.record, undefined)
  if (partition !== undefined && (!Number.isInteger(partition) || partition < 0)) {
    return new TransportError(
      'MILENA_PARTITION_MISSING',
      `send to topic ${topic}: ${String(partition)} is no partition number; partitions are numbered from 0`,
    )
  }
  const size = maxRecordSize(pending)
  if (size <= LARGEST_RECORD) return undefined
  return new TransportError(
    'MILENA_RECORD_TOO_LARGE',
    `send to topic ${topic}: a record of ${size} bytes is larger than any broker takes in one request`,
  )
}

/** `cause`: what came of reading it. */
export function notARecord(record: OutgoingRecord, cause: unknown): TransportError {
  return malformed(record) ?? unsendable('its key, value and headers have no size', cause)
}

/** `cause`: what the codec, or the writing of the batch, threw. */
export function notEncoded(act: string, cause: unknown): TransportError {
  return new TransportError(
    'MILENA_NOT_SENT',
    `${act}: not sent, since it cannot be put into a batch${because(cause)}`,
    { cause, retryable: false },
  )
}

export function takenBack(topic: string): TransportError {
  return new TransportError('MILENA_NOT_SENT', `send to topic ${topic}: taken back before it was sent`)
}

export function partitionMissing(
  topic: string,
  partition: number,
  count: number,
  details: ErrorDetails = {},
): TransportError {
  return new TransportError(
    'MILENA_PARTITION_MISSING',
    `send to topic ${topic}: there is no partition ${partition}, the topic has ${count}, numbered from 0`,
    details,
  )
}

export function closedBefore(topic: string, details: ErrorDetails): TransportError {
  const act = `send to topic ${topic}`
  return details.sent === 'unknown'
    ? new TransportError(
        'MILENA_SEND_UNKNOWN',
        `${act}: closed before it was acknowledged, it may be in the log`,
        details,
      )
    : new TransportError('MILENA_CLOSED', `${act}: the transport was closed before it was sent`, details)
}

export function tooLarge(act: string, bytes: number, details: ErrorDetails): TransportError {
  return new TransportError(
    'MILENA_RECORD_TOO_LARGE',
    `${act}: a record of ${bytes} bytes is larger than the topic's max.message.bytes allows`,
    details,
  )
}

export function unknownOutcome(act: string, problem: unknown): TransportError {
  return new TransportError(
    'MILENA_SEND_UNKNOWN',
    `${act}: not acknowledged before the delivery timeout, it may be in the log${because(problem)}`,
    { cause: problem },
  )
}

export function notSent(act: string, problem: unknown): TransportError {
  return new TransportError(
    'MILENA_NOT_SENT',
    `${act}: not sent before the delivery timeout${because(problem)}`,
    {
      cause: problem,
    },
  )
}

/** `code`: what the brokers said of the topic. */
export function neverRouted(topic: string, code: number): TransportError {
  const why = code === 0 ? 'no broker could be asked about the topic' : errorName(code)
  return new TransportError(
    'MILENA_NOT_SENT',
    `send to topic ${topic}: not sent before the delivery timeout (${why})`,
  )
}

function because(problem: unknown): string {
  return problem instanceof Error ? ` (last: ${problem.message})` : ''
}
