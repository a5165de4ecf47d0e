/**
 * Reads what an application gives with a request: each property once, since a getter may give something else the second
 * time, and all of it before anything is accepted.
 */
import type { Clock } from '../clock.ts'
import { isTimeout, longestTimeout, type AnyOperation } from '../contract/operation.ts'
import { OptionsError } from '../errors.ts'
import { unknownOptions } from '../given.ts'
import { encodeHeaders, problemOfHeaders, type HeaderInput, type RawHeader } from '../wire/headers.ts'
import type { ReservedHeaders } from '../wire/reserved-headers.ts'
import { classOf, said, wordsOf } from '../words.ts'
import { deadlineOver, reasonOf } from './outcome-errors.ts'
import type { PendingReply } from './pending.ts'
import type { RequestOptions } from './reply.ts'

const known: ReadonlySet<string> = new Set<keyof RequestOptions>([
  'timeout',
  'deadline',
  'signal',
  'headers',
  'key',
  'partition',
  'replyTopic',
  'idempotencyKey',
])

const none: readonly RawHeader[] = []

/** The caller's own key; `undefined`: the operation's. */
export type GivenKey = string | Uint8Array | null | undefined

/**
 * Takes the options over into the request, and gives back the key that they name.
 *
 * @throws OptionsError `MILENA_OPTIONS_INVALID`; TransportError `MILENA_NOT_SENT` when its deadline is over already
 */
export function readRequestOptions(
  pending: PendingReply,
  given: RequestOptions | undefined,
  defaultTimeout: number,
  reserved: ReservedHeaders,
  clock: Clock,
): GivenKey {
  const { operation } = pending
  pending.timeout = operation.timeout ?? defaultTimeout
  if (given === undefined) return undefined
  const { timeout, deadline, signal, headers, key, partition, replyTopic, idempotencyKey } = tryOrRefuse(
    operation,
    'options',
    () => copyOf(operation, given),
  )
  if (timeout !== undefined) {
    if (!isTimeout(timeout))
      throw refused(operation, `timeout must be 1 to ${longestTimeout} ms, not ${said(timeout)}`)
    pending.timeout = timeout
  }
  if (signal !== undefined) {
    const problem = tryOrRefuse(operation, 'signal', () => problemOfSignal(signal))
    if (problem !== undefined) throw refused(operation, `signal ${problem}`)
    pending.signal = signal
  }
  if (headers !== undefined) pending.headers = applicationHeaders(operation, headers, reserved)
  if (partition !== undefined) {
    if (!Number.isSafeInteger(partition))
      throw refused(operation, `partition must be a whole number, not ${said(partition)}`)
    pending.partition = partition
  }
  if (replyTopic !== undefined) {
    if (typeof replyTopic !== 'string')
      throw refused(operation, `replyTopic must be a name, not ${said(replyTopic)}`)
    pending.replyTopic = replyTopic
  }
  pending.idempotencyKey = idempotencyKey
  if (deadline !== undefined) {
    if (!Number.isFinite(deadline))
      throw refused(operation, `deadline must be milliseconds since the Unix epoch, not ${said(deadline)}`)
    pending.deadline = deadline
    // Last of all: options that cannot work are more to the point.
    withinDeadline(pending, pending.timeout, clock.now())
  }
  return key
}

/**
 * How many of these milliseconds are left of the request's deadline; its timeout, for what is told of it, is no longer.
 *
 * @throws TransportError `MILENA_NOT_SENT` when the deadline is over
 */
export function withinDeadline(pending: PendingReply, milliseconds: number, now: number): number {
  const { operation, deadline, signal } = pending
  if (deadline === undefined) return milliseconds
  const left = deadline - now
  if (left <= 0) throw deadlineOver(operation, -left, reasonOf(signal))
  if (left >= milliseconds) return milliseconds
  pending.timeout = Math.ceil(left)
  return left
}

/**
 * A header of ours that the application hands on, from a request that it has received itself, is not a request for
 * anything: its `kafka_replyPartition` would send the reply astray where our own address has no partition.
 */
export function applicationHeaders(
  operation: AnyOperation,
  headers: HeaderInput,
  reserved: ReservedHeaders,
): readonly RawHeader[] {
  const problem = problemOfHeaders(headers)
  if (problem !== undefined) throw refused(operation, `headers ${problem}`)
  const encoded = tryOrRefuse(operation, 'headers', () => encodeHeaders(headers))
  if (encoded.length === 0) return none
  return encoded.some(([name]) => reserved.has(name))
    ? encoded.filter(([name]) => !reserved.has(name))
    : encoded
}

/** Runs what the operation's author, or the caller, wrote. */
export function tryOrRefuse<Result>(operation: AnyOperation, what: string, run: () => Result): Result {
  try {
    return run()
  } catch (cause) {
    if (cause instanceof OptionsError) throw cause
    throw new OptionsError(`operation ${operation.name}`, [`${what}: ${wordsOf(cause)}`], { cause })
  }
}

/** For what is to be said later, or not at all. */
export function tryTo<Result>(act: () => Result): { readonly done: Result } | { readonly failed: unknown } {
  try {
    return { done: act() }
  } catch (failed) {
    return { failed }
  }
}

export function refused(operation: AnyOperation, problem: string): OptionsError {
  return new OptionsError(`operation ${operation.name}`, [problem])
}

function copyOf(operation: AnyOperation, given: RequestOptions): RequestOptions {
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw refused(operation, `options must be an object, not ${classOf(given)}`)
  for (const name in given)
    if (!known.has(name) && Object.hasOwn(given, name))
      throw new OptionsError(
        `operation ${operation.name}`,
        unknownOptions(`operation ${operation.name}`, given, known),
      )
  const { timeout, deadline, signal, headers, key, partition, replyTopic, idempotencyKey } = given
  return { timeout, deadline, signal, headers, key, partition, replyTopic, idempotencyKey }
}

export function problemOfSignal(signal: AbortSignal): string | undefined {
  const value: unknown = signal
  if (typeof value === 'object' && value !== null) {
    const { aborted, addEventListener, removeEventListener } = value as Partial<AbortSignal>
    const listens = typeof addEventListener === 'function' && typeof removeEventListener === 'function'
    if (typeof aborted === 'boolean' && listens) return undefined
    if (value instanceof AbortController)
      return 'must be an AbortSignal, not an AbortController: give its property signal'
  }
  return `must be an AbortSignal, not ${classOf(value)}`
}
