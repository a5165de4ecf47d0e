import type { Effect } from '../error-facts.ts'
import type { IncomingRecord, RecordPosition } from '../transport/transport.ts'
import {
  letterHeaderNames as names,
  longestReplayOf,
  letterOriginNames,
  readPlace,
  replayOfName,
  retryOriginNames,
} from '../wire/dead-letter.ts'
import { lastHeader, MessageHeaders, type RawHeader } from '../wire/headers.ts'
import { readDeadline, readOperation } from '../wire/milena.ts'
import type { ReplyAddress, WireProfile } from '../wire/profile.ts'
import type { Replayed } from './replay-log.ts'

/** What can be told of a dead letter without its value; of one that Spring has written, what its headers have. */
export interface DeadLetter extends RecordPosition {
  /** When it was written to the dead-letter topic, in milliseconds since the Unix epoch. */
  readonly timestamp: number
  /** Where its record stood, and when it was written there; `undefined` when its headers do not say. */
  readonly original: (RecordPosition & { readonly timestamp: number | undefined }) | undefined
  /** The consumer group that has given it up. */
  readonly group: string | undefined
  readonly operation: string | undefined
  /** The error's code, or the reason for which it was passed over; `undefined` for one that is not ours. */
  readonly code: string | undefined
  /** The class of the error and of its cause, and what it says. */
  readonly errorClass: string | undefined
  readonly causeClass: string | undefined
  readonly message: string | undefined
  /** How often it was tried; `undefined` for one that is not ours. */
  readonly attempts: number | undefined
  /** What the request has done outside, as far as its replier knew. */
  readonly effect: Effect
  readonly key: Buffer | null
  readonly correlationId: Buffer | undefined
  /** Where its reply was to go. */
  readonly replyTo: ReplyAddress | undefined
  /** Until when its requester waits, in milliseconds since the Unix epoch, by the requester's clock. */
  readonly deadline: number | undefined
  /** The letter that it is the replay of, as `topic/partition/offset`, when it has died again. */
  readonly replayOf: string | undefined
  /** The replays of it that were recorded, in the order in which they began. */
  readonly replays: readonly Replayed[]
  /** Bytes of key, value and headers. */
  readonly size: number
}

/** A dead letter with all that it has. */
export interface WholeDeadLetter extends DeadLetter {
  /** As it was requested, also when it could not be decoded. */
  readonly value: Buffer | null
  /** All of them, those of the dead letter included. */
  readonly headers: MessageHeaders
  /** The error's stack, where the letter has one. */
  readonly stack: string | undefined
}

/** Never throws, whatever stands in the headers: anybody may have written them. */
export function readLetter(
  record: IncomingRecord,
  profile: WireProfile,
  replays: readonly Replayed[],
): WholeDeadLetter {
  const { headers, topic, partition, offset, timestamp, key, value, size } = record
  const asked = profile.readReplyRequest(headers)
  const { correlationId, address: replyTo } = typeof asked === 'object' ? asked : nobody
  const effect = text(headers, names.effect)
  return {
    topic,
    partition,
    offset,
    timestamp,
    original: originOf(headers),
    group: text(headers, names.originalConsumerGroup),
    operation: text(headers, names.operation) ?? readOperation(headers),
    code: text(headers, names.code),
    errorClass: text(headers, names.exceptionClass) ?? text(headers, names.keyExceptionClass),
    causeClass: text(headers, names.exceptionCauseClass),
    message: text(headers, names.exceptionMessage) ?? text(headers, names.keyExceptionMessage),
    attempts: digits(headers, names.attempts),
    effect: effect === 'none' || effect === 'done' ? effect : 'unknown',
    key,
    correlationId,
    replyTo,
    deadline: readDeadline(headers),
    replayOf: replayOf(headers),
    replays,
    size,
    value,
    headers: new MessageHeaders(headers),
    stack: text(headers, names.exceptionStack) ?? text(headers, names.keyExceptionStack),
  }
}

const nobody = { correlationId: undefined, address: undefined }

/** Without value, headers and stack, in memory of its own: what is listed does not keep a batch alive. */
export function listed(whole: WholeDeadLetter): DeadLetter {
  const { value: _, headers: __, stack: ___, key, correlationId, ...letter } = whole
  return {
    ...letter,
    key: key && Buffer.from(key),
    correlationId: correlationId && Buffer.from(correlationId),
  }
}

/**
 * Its own, or, of one that has come over Spring's retry topics, the place before those. The last of a name counts: that of
 * the last death.
 */
function originOf(headers: readonly RawHeader[]): DeadLetter['original'] {
  return readPlace(headers, letterOriginNames) ?? readPlace(headers, retryOriginNames)
}

function text(headers: readonly RawHeader[], name: Buffer): string | undefined {
  return lastHeader(headers, name)?.toString()
}

function digits(headers: readonly RawHeader[], name: Buffer): number | undefined {
  const said = text(headers, name)
  return said !== undefined && /^\d{1,15}$/.test(said) ? Number(said) : undefined
}

function replayOf(headers: readonly RawHeader[]): string | undefined {
  const bytes = lastHeader(headers, replayOfName)
  return bytes && bytes.length > 0 && bytes.length <= longestReplayOf ? bytes.toString() : undefined
}
