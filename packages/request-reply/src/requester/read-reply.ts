/**
 * Reads a reply record: the replier's error, or a value that matches the operation's schema.
 */
import { validate, type Validated } from '../contract/payload.ts'
import { MilenaError, RemoteError, ValidationError } from '../errors.ts'
import type { IncomingRecord } from '../transport/transport.ts'
import { MessageHeaders } from '../wire/headers.ts'
import { readError } from '../wire/milena.ts'
import type { PendingReply } from './pending.ts'
import type { Reply } from './reply.ts'

/** The reply, or why there is none; a promise only where the schema is asynchronous, and never a rejection. */
export type ReadReply = Reply<unknown> | MilenaError

export function readReply(
  pending: PendingReply,
  record: IncomingRecord,
  roundTrip: number,
): ReadReply | Promise<ReadReply> {
  const { operation } = pending
  const remote = readError(record.headers)
  if (remote !== undefined) return new RemoteError(operation.name, remote.code, remote.message)
  try {
    const checked = validate(operation.reply.schema, operation.reply.decode(record.value))
    if (!(checked instanceof Promise)) return finish(pending, record, roundTrip, checked)
    return checked
      .then((result) => finish(pending, record, roundTrip, result))
      .catch((error: unknown) => unreadable(operation.name, error))
  } catch (error) {
    return unreadable(operation.name, error)
  }
}

function finish(
  pending: PendingReply,
  record: IncomingRecord,
  roundTrip: number,
  checked: Validated<unknown>,
): ReadReply {
  return 'issues' in checked
    ? new ValidationError('MILENA_REPLY_INVALID', pending.operation.name, checked.issues)
    : toReply(pending, record, roundTrip, checked.value)
}

function toReply(
  pending: PendingReply,
  record: IncomingRecord,
  roundTrip: number,
  value: unknown,
): Reply<unknown> {
  const { topic, partition, offset } = record
  return {
    value,
    correlationId: pending.correlationId.toString('hex'),
    headers: new MessageHeaders(record.headers),
    key: record.key,
    position: { topic, partition, offset },
    request: pending.position,
    roundTrip,
  }
}

/** The work was done, but what it gave cannot be read: sent, and the outcome is not known. */
function unreadable(operation: string, cause: unknown): MilenaError {
  const message = cause instanceof Error ? cause.message : String(cause)
  return new MilenaError('MILENA_CODEC_FAILED', `operation ${operation}: unreadable reply: ${message}`, {
    cause,
    sent: 'yes',
    outcomeKnown: false,
  })
}
