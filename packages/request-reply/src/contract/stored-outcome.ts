/**
 * How a request's first outcome is kept, and told again: the same bytes in every store, and in the answer to a query.
 *
 *     1 byte   version, 1
 *     4 bytes  length of what follows, big-endian
 *     JSON     kind, and what is said of it; headers in base64
 *     bytes    the reply's value, as it was sent
 */
import type { Effect } from '../error-facts.ts'
import { refuseUnless } from '../given.ts'
import type { RawHeader } from '../wire/headers.ts'

/** The outcome of a request whose work is over: what a repeated request is answered with. */
export type StoredOutcome =
  | { readonly kind: 'reply'; readonly value: Buffer | null; readonly headers: readonly RawHeader[] }
  | {
      readonly kind: 'error'
      readonly code: string
      readonly message: string
      readonly effect?: Effect | undefined
      readonly retryable?: boolean | undefined
      readonly headers?: readonly RawHeader[] | undefined
    }
  /** Done, and no reply was wanted. */
  | { readonly kind: 'done' }
  /** Somebody else sends the reply. */
  | { readonly kind: 'handed over' }
  /** Given up where nobody is answered: `reason` as the replier counts it. */
  | { readonly kind: 'passed over'; readonly reason: string; readonly detail: string }

const version = 1
const prefix = 5

type Written = readonly [name: string, value: string | null]

/** @throws OptionsError of what is no outcome */
export function encodeStoredOutcome(outcome: StoredOutcome): Buffer {
  refuseUnless(
    isOutcome(outcome),
    'encodeStoredOutcome',
    'it takes an outcome of a kind that is stored',
    outcome,
  )
  const { value, ...said } =
    outcome.kind === 'reply'
      ? { ...outcome, headers: written(outcome.headers), empty: outcome.value === null }
      : outcome.kind === 'error'
        ? { ...outcome, headers: written(outcome.headers ?? []), value: null }
        : { ...outcome, value: null }
  const head = Buffer.from(JSON.stringify(said))
  const bytes = Buffer.allocUnsafe(prefix + head.length + (value?.length ?? 0))
  bytes.writeUInt8(version, 0)
  bytes.writeUInt32BE(head.length, 1)
  head.copy(bytes, prefix)
  value?.copy(bytes, prefix + head.length)
  return bytes
}

/** @throws TypeError when these are no such bytes, or of a later version; OptionsError when it is no Buffer. */
export function decodeStoredOutcome(bytes: Buffer): StoredOutcome {
  refuseUnless(Buffer.isBuffer(bytes), 'decodeStoredOutcome', 'it takes a Buffer', bytes)
  if (bytes.length < prefix || bytes.readUInt8(0) !== version)
    throw new TypeError('a stored outcome begins with its version, 1, and the length of its head')
  const end = prefix + bytes.readUInt32BE(1)
  if (end > bytes.length) throw new TypeError('a stored outcome is shorter than its head')
  const { kind, code, message, effect, retryable, reason, detail, headers, empty } = readHead(
    bytes.toString('utf8', prefix, end),
  )
  switch (kind) {
    case 'reply': {
      const value = empty === true ? null : Buffer.from(bytes.subarray(end))
      return { kind, value, headers: read(headers) }
    }
    case 'error':
      return {
        kind,
        code: textOf(code),
        message: textOf(message),
        effect: effect === 'none' || effect === 'done' ? effect : undefined,
        retryable: retryable === true,
        headers: read(headers),
      }
    case 'done':
    case 'handed over':
      return { kind }
    case 'passed over':
      return { kind, reason: textOf(reason), detail: textOf(detail) }
    default:
      throw new TypeError('a stored outcome is of a kind that nobody knows')
  }
}

/** Whether it can be written; what it says besides is read with care. */
function isOutcome(given: unknown): boolean {
  const { kind, value, headers } = Object(given) as Readonly<Record<string, unknown>>
  if (kind === 'reply') return Array.isArray(headers) && (value === null || Buffer.isBuffer(value))
  if (kind === 'error') return headers === undefined || Array.isArray(headers)
  return kind === 'done' || kind === 'handed over' || kind === 'passed over'
}

/** V8's own error would quote the text. */
function readHead(text: string): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(text)) as Record<string, unknown>
  } catch {
    throw new TypeError('the head of a stored outcome is no JSON')
  }
}

function written(headers: readonly RawHeader[]): Written[] {
  return headers.map(([name, value]) => [name.toString('base64'), value && value.toString('base64')])
}

function read(headers: unknown): RawHeader[] {
  if (!Array.isArray(headers)) throw new TypeError('a stored outcome without its headers')
  return (headers as Written[]).map(([name, value]) => [
    Buffer.from(name, 'base64'),
    value === null ? null : Buffer.from(value, 'base64'),
  ])
}

function textOf(said: unknown): string {
  return typeof said === 'string' ? said : ''
}
