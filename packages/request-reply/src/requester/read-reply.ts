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

/** Calls exactly one of the two, at once unless the schema is asynchronous. */
export function readReply(
  pending: PendingReply,
  record: IncomingRecord,
  roundTrip: number,
  onReply: (reply: Reply<unknown>) => void,
  onError: (error: MilenaError) => void,
): void {
  const { operation } = pending
  const remote = readError(record.headers)
  if (remote !== undefined) {
    onError(new RemoteError(operation.name, remote.code, remote.message))
    return
  }
  const finish = (checked: Validated<unknown>): void => {
    if ('issues' in checked)
      onError(new ValidationError('MILENA_REPLY_INVALID', operation.name, checked.issues))
    else onReply(toReply(pending, record, roundTrip, checked.value))
  }
  try {
    const checked = validate(operation.reply.schema, operation.reply.decode(record.value))
    if (checked instanceof Promise)
      checked.then(finish).catch((error: unknown) => onError(unreadable(operation.name, error)))
    else finish(checked)
  } catch (error) {
    onError(unreadable(operation.name, error))
  }
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
