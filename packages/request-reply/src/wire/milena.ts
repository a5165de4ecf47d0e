/**
 * Milena's own headers: plain text, ignored by everybody else. `docs/headers.md` lists them with their bounds.
 */
import { isUtf8 } from 'node:buffer'
import type { Effect } from '../error-facts.ts'
import { foreign } from '../words.ts'
import { isSame, lastHeader, type RawHeader } from './headers.ts'

/** The most bytes of each header that are read or written; a longer one counts as absent, or is cut when written. */
export const headerBounds = {
  operation: 255,
  instance: 255,
  deadline: 16,
  timeout: 10,
  idempotencyKey: 255,
  replies: 4,
  group: 255,
  errorCode: 128,
  errorMessage: 2048,
  errorEffect: 7,
  errorRetryable: 5,
} as const

const operationName = Buffer.from('milena-operation')
const instanceName = Buffer.from('milena-instance')
const deadlineName = Buffer.from('milena-deadline')
const timeoutName = Buffer.from('milena-timeout')
const idempotencyKeyName = Buffer.from('milena-idempotency-key')
const repliesName = Buffer.from('milena-replies')
const groupName = Buffer.from('milena-group')
const many = Buffer.from('many')
const errorEffectName = Buffer.from('milena-error-effect')
const errorRetryableName = Buffer.from('milena-error-retryable')
const errorCodeName = Buffer.from('milena-error-code')
const errorMessageName = Buffer.from('milena-error-message')

export function operationHeader(operation: string): RawHeader {
  return [operationName, Buffer.from(operation)]
}

export function instanceHeader(instanceId: string): RawHeader {
  return [instanceName, Buffer.from(instanceId)]
}

/** Milliseconds since the Unix epoch after which the requester no longer waits. */
export function deadlineHeader(deadline: number): RawHeader {
  return [deadlineName, Buffer.from(String(Math.ceil(deadline)), 'latin1')]
}

/**
 * Milliseconds that the requester waits, from when it made the request. Beside the deadline, for clocks differ: whoever
 * knows how long ago a request cannot have been written yet knows, by its own clock, how much of this is left.
 */
export function timeoutHeader(timeout: number): RawHeader {
  return [timeoutName, Buffer.from(String(Math.ceil(timeout)), 'latin1')]
}

/** What makes two requests the same request, however often and by whomever they are sent. */
export function idempotencyKeyHeader(key: string): RawHeader {
  return [idempotencyKeyName, Buffer.from(key)]
}

/** Several repliers' groups are to answer this request, and each names itself in its reply. */
export const manyRepliesHeader: RawHeader = [repliesName, many]

/** Whether the request says so. */
export function wantsManyReplies(headers: readonly RawHeader[]): boolean {
  const value = lastHeader(headers, repliesName)
  return !!value && isSame(value, many)
}

/** The consumer group that a reply comes from; `undefined` for a name that is longer than it may be: cut, it could be another's. */
export function groupHeader(groupId: string): RawHeader | undefined {
  const value = Buffer.from(groupId)
  return value.length > headerBounds.group ? undefined : [groupName, value]
}

/** What is wrong with an idempotency key, if anything. */
export function problemOfIdempotencyKey(key: string): string | undefined {
  const length = Buffer.byteLength(key)
  if (length === 0 || length > headerBounds.idempotencyKey)
    return `must have 1 to ${headerBounds.idempotencyKey} bytes, not ${length}`
  return foreign(key) === key ? undefined : 'must have no control characters and no lone surrogates'
}

/** What an error reply says; `effect` and `retryable` only where the replier knows better than the code does. */
export interface WireError {
  readonly code: string
  readonly message: string
  readonly effect?: Effect | undefined
  readonly retryable?: boolean | undefined
}

export function errorHeaders({ code, message, effect, retryable }: WireError): RawHeader[] {
  const headers: RawHeader[] = [
    [errorCodeName, cut(Buffer.from(code), headerBounds.errorCode)],
    [errorMessageName, cut(Buffer.from(message), headerBounds.errorMessage)],
  ]
  if (effect !== undefined && effect !== 'unknown') headers.push([errorEffectName, Buffer.from(effect)])
  if (retryable === true) headers.push([errorRetryableName, Buffer.from('true')])
  return headers
}

export function readOperation(headers: readonly RawHeader[]): string | undefined {
  return readOperationBytes(headers)?.toString()
}

/** The operation's name as it came. */
export function readOperationBytes(headers: readonly RawHeader[]): Buffer | undefined {
  const name = lastHeader(headers, operationName)
  return name && name.length > 0 && name.length <= headerBounds.operation ? name : undefined
}

export function readInstance(headers: readonly RawHeader[]): string | undefined {
  return readText(headers, instanceName, headerBounds.instance)
}

/** The group that a reply comes from, where it says so. */
export function readGroup(headers: readonly RawHeader[]): string | undefined {
  return readText(headers, groupName, headerBounds.group)
}

/** The deadline, or `undefined` when there is none or it is not 1 to 16 decimal digits. */
export function readDeadline(headers: readonly RawHeader[]): number | undefined {
  return readDigits(lastHeader(headers, deadlineName), headerBounds.deadline)
}

/** The timeout, or `undefined` when there is none or it is not 1 to 10 decimal digits. */
export function readTimeout(headers: readonly RawHeader[]): number | undefined {
  return readDigits(lastHeader(headers, timeoutName), headerBounds.timeout)
}

/** The idempotency key; `undefined` when there is none, and `problem` when there is one that cannot be. */
export function readIdempotencyKey(
  headers: readonly RawHeader[],
): { readonly key: string } | { readonly problem: string } | undefined {
  const bytes = lastHeader(headers, idempotencyKeyName)
  if (bytes === undefined) return undefined
  if (bytes === null) return { problem: 'must not be null' }
  if (!isUtf8(bytes)) return { problem: 'must be UTF-8' }
  const key = bytes.toString()
  const problem = problemOfIdempotencyKey(key)
  return problem === undefined ? { key } : { problem }
}

/** Read in place: it is in every request, and a string, a pattern and a number of it cost three times as much. */
function readDigits(digits: Buffer | null | undefined, most: number): number | undefined {
  if (!digits || digits.length === 0 || digits.length > most) return undefined
  let number = 0
  for (let i = 0; i < digits.length; i++) {
    const digit = digits[i]! - 0x30
    if (!(digit >= 0 && digit <= 9)) return undefined
    number = number * 10 + digit
  }
  return number
}

/**
 * The replier's error, or `undefined` when the reply is none. A code that breaks its bounds is one all the same: an
 * error must never be taken for a value. An effect that is none of the words is unknown.
 */
export function readError(headers: readonly RawHeader[]): WireError | undefined {
  const code = lastHeader(headers, errorCodeName)
  if (!code) return undefined
  const effect = readText(headers, errorEffectName, headerBounds.errorEffect)
  return {
    code: cut(code, headerBounds.errorCode).toString(),
    message: readText(headers, errorMessageName, headerBounds.errorMessage) ?? '',
    effect: effect === 'none' || effect === 'done' ? effect : undefined,
    retryable: readText(headers, errorRetryableName, headerBounds.errorRetryable) === 'true',
  }
}

function readText(headers: readonly RawHeader[], name: Buffer, bound: number): string | undefined {
  const value = lastHeader(headers, name)
  return value && value.length > 0 && value.length <= bound ? value.toString() : undefined
}

/** An error's message in bytes, no longer than one of ours. */
export function cutError(message: string | Buffer): Buffer {
  return cut(typeof message === 'string' ? Buffer.from(message) : message, headerBounds.errorMessage)
}

/** Cuts at a character's border, so that what is left is UTF-8. */
function cut(bytes: Buffer, bound: number): Buffer {
  if (bytes.length <= bound) return bytes
  let end = bound
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--
  return bytes.subarray(0, end)
}
