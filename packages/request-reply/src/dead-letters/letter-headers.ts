import type { Effect } from '../error-facts.ts'
import type { IncomingRecord, RecordPosition } from '../transport/transport.ts'
import {
  int32Header,
  int64Header,
  letterHeaderNames as names,
  ownLetterPrefix,
  textHeader,
} from '../wire/dead-letter.ts'
import { isSame, type RawHeader } from '../wire/headers.ts'
import { classOf, foreign, stackOf, wordsOf } from '../words.ts'

/**
 * How much of an error a letter has: its `stack` with class and message, the `message` with the class, or the `class`
 * alone. Bounded: 500 characters of a message, 20 lines and 4 000 characters of a stack.
 */
export type LetterDetail = 'stack' | 'message' | 'class'

/** Why a record became a dead letter. */
export interface LetterCause {
  readonly operation: string | undefined
  readonly group: string
  /** How often it was tried. */
  readonly attempts: number
  /** The error's code, or the reason for which it was passed over. */
  readonly code: string
  /** What the requester would have been told, or the detail of what was passed over. */
  readonly message: string
  readonly effect: Effect | undefined
  /** What was thrown, if anything. */
  readonly thrown: unknown
  /** Where it stood first, when it came over other topics, and when it was written there. */
  readonly origin: RecordPosition & { readonly timestamp: number }
}

/** From all that is told to what a letter cannot do without: for one that would be too large. */
export const fullest = 0
export const barest = 3

/** The longest class name, in characters. */
const longestClass = 200
/** The longest `milena-dlt-code`, in bytes: an error code's bound. */
const longestCode = 128

/**
 * The headers of a letter: those of the record, untouched and in their order, then Spring's, then ours. As Spring does it
 * by default, where a record has died before, its `exception` headers are replaced and its `original` headers are added to:
 * the last of a name is the last death's.
 *
 * @param bareness how much is left out: 1 the stack, 2 all of the error but its class, 3 all but the origin and the code
 */
export function letterHeaders(
  record: IncomingRecord,
  cause: LetterCause,
  detail: LetterDetail,
  bareness: number,
): RawHeader[] {
  const added: RawHeader[] = []
  if (bareness < barest) added.push(...exceptionHeaders(cause, detail, bareness))
  added.push(...originHeaders(record, cause, bareness))
  added.push(...ownHeaders(cause, bareness))
  return [...record.headers.filter(([name]) => !isReplaced(name)), ...added]
}

const replaced = [
  names.exceptionClass,
  names.exceptionCauseClass,
  names.exceptionMessage,
  names.exceptionStack,
  names.keyExceptionClass,
  names.keyExceptionMessage,
  names.keyExceptionStack,
]
const ours = Buffer.from(ownLetterPrefix)

function isReplaced(name: Buffer): boolean {
  if (name.length >= ours.length && ours.compare(name, 0, ours.length) === 0) return true
  return replaced.some((one) => isSame(one, name))
}

function exceptionHeaders(
  { thrown, message }: LetterCause,
  detail: LetterDetail,
  bareness: number,
): RawHeader[] {
  const headers = [
    textHeader(names.exceptionClass, thrown === undefined ? 'MilenaError' : classNameOf(thrown)),
  ]
  const beneath = causeOf(thrown)
  if (beneath !== undefined) headers.push(textHeader(names.exceptionCauseClass, classNameOf(beneath)))
  if (detail === 'class' || bareness >= 2) return headers
  headers.push(textHeader(names.exceptionMessage, thrown === undefined ? foreign(message) : wordsOf(thrown)))
  if (detail === 'message' || bareness >= 1) return headers
  headers.push(textHeader(names.exceptionStack, thrown === undefined ? foreign(message) : stackOf(thrown)))
  return headers
}

function originHeaders({ timestampType }: IncomingRecord, cause: LetterCause, bareness: number): RawHeader[] {
  const { origin, group } = cause
  const headers = [
    textHeader(names.originalTopic, origin.topic),
    int32Header(names.originalPartition, origin.partition),
    int64Header(names.originalOffset, origin.offset),
  ]
  if (bareness >= barest) return headers
  const type = origin.timestamp < 0 ? 'NoTimestampType' : (timestampType ?? 'CreateTime')
  headers.push(
    int64Header(names.originalTimestamp, origin.timestamp),
    textHeader(names.originalTimestampType, type),
    textHeader(names.originalConsumerGroup, group),
  )
  return headers
}

function ownHeaders({ operation, attempts, code, effect }: LetterCause, bareness: number): RawHeader[] {
  const headers = [textHeader(names.code, code.slice(0, longestCode))]
  if (bareness >= barest) return headers
  if (operation !== undefined) headers.push(textHeader(names.operation, operation))
  headers.push(textHeader(names.attempts, String(attempts)))
  if (effect === 'none' || effect === 'done') headers.push(textHeader(names.effect, effect))
  return headers
}

/** Its class, without what it says; Java's tools expect one. */
function classNameOf(thrown: unknown): string {
  return classOf(thrown).slice(0, longestClass)
}

function causeOf(thrown: unknown): unknown {
  try {
    return typeof thrown === 'object' && thrown !== null ? (thrown as { cause?: unknown }).cause : undefined
  } catch {
    return undefined
  }
}
