/**
 * Reads a reply record: the replier's error, or a value that matches the operation's schema.
 */
import { decodePayload, validatePayload } from '../contract/coding.ts'
import type { Validated } from '../contract/payload.ts'
import { MilenaError, RemoteError, remoteFacts, ValidationError } from '../errors.ts'
import type { IncomingRecord } from '../transport/transport.ts'
import { MessageHeaders } from '../wire/headers.ts'
import type { WireError } from '../wire/milena.ts'
import { classOf } from '../words.ts'
import { factsOf, type PendingReply } from './pending.ts'
import type { Reply } from './reply.ts'

/** The reply, or why there is none; a promise only where something is asynchronous, and never a rejection. */
export type ReadReply = Reply<unknown> | MilenaError

/** Whether it is an error that leaves open what the request did: then another reply may come that says so. */
export function leavesOpen(remote: WireError | undefined): boolean {
  return remote !== undefined && remoteFacts(remote.code, remote).effect === 'unknown'
}

export function readReply(
  pending: PendingReply,
  record: IncomingRecord,
  remote: WireError | undefined,
  roundTrip: number,
  maxReplyBytes: number,
): ReadReply | Promise<ReadReply> {
  const { operation } = pending
  if (remote !== undefined) {
    const facts = { ...remoteFacts(remote.code, remote), sent: 'yes', request: factsOf(pending) } as const
    return new RemoteError(operation.name, remote.code, remote.message, facts)
  }
  const bytes = record.value?.length ?? 0
  if (bytes > maxReplyBytes) {
    const message = `it has ${bytes} bytes, and what has more than ${maxReplyBytes} (maxReplyBytes) is not parsed`
    return invalid(pending, [{ path: '', message }])
  }
  try {
    const decoded = decodePayload(operation, 'reply', record)
    if (decoded instanceof Promise) {
      return decoded
        .then((value: unknown) => validatePayload(operation, 'reply', value))
        .then((checked) => finish(pending, record, roundTrip, checked))
        .catch((thrown: unknown) => unreadable(pending, thrown))
    }
    const checked = validatePayload(operation, 'reply', decoded)
    if (!(checked instanceof Promise)) return finish(pending, record, roundTrip, checked)
    return checked
      .then((result) => finish(pending, record, roundTrip, result))
      .catch((thrown: unknown) => unreadable(pending, thrown))
  } catch (thrown) {
    return unreadable(pending, thrown)
  }
}

function finish(
  pending: PendingReply,
  record: IncomingRecord,
  roundTrip: number,
  checked: Validated<unknown>,
): ReadReply {
  return 'issues' in checked
    ? invalid(pending, checked.issues)
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

function invalid(pending: PendingReply, issues: ValidationError['issues']): ValidationError {
  const details = { request: factsOf(pending) }
  return new ValidationError('MILENA_REPLY_INVALID', pending.operation.name, issues, details)
}

/** The work was done, but what it gave cannot be read: sent, and the outcome is not known. */
function unreadable(pending: PendingReply, thrown: unknown): MilenaError {
  const done = { sent: 'yes', outcomeKnown: false, effect: 'done' } as const
  const details = { ...done, request: factsOf(pending) }
  if (thrown instanceof MilenaError && thrown.code === 'MILENA_CODEC_FAILED')
    return new MilenaError('MILENA_CODEC_FAILED', thrown.message, { ...details, cause: thrown.cause })
  const message = `operation ${pending.operation.name}: the reply cannot be read: ${classOf(thrown)}`
  return new MilenaError('MILENA_CODEC_FAILED', message, { ...details, cause: thrown })
}
