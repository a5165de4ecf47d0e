/**
 * Record headers as Kafka stores them: a list, in order, in which a name may occur more than once.
 * Readers take the *last* header of a name, as Spring for Apache Kafka does.
 */
import { classOf } from '../words.ts'

export type RawHeader = readonly [name: Buffer, value: Buffer | null]

/** The value of the last header with this name; `null` when its value is null, `undefined` when there is none. */
export function lastHeader(headers: readonly RawHeader[], name: Buffer): Buffer | null | undefined {
  for (let i = headers.length - 1; i >= 0; i--) {
    const header = headers[i]!
    if (isSame(header[0], name)) return header[1]
  }
  return undefined
}

/** Whether both have the same bytes. In JavaScript: for names of a few bytes that takes half of what a call of `equals`, out of V8 and back, does. */
export function isSame(a: Buffer, b: Buffer): boolean {
  let at = a.length
  if (at !== b.length) return false
  // From the end: our names begin alike.
  while (at-- > 0) if (a[at] !== b[at]) return false
  return true
}

/** What an application may give as headers: text is written as UTF-8. */
export type HeaderInput = Readonly<Record<string, string | Uint8Array | null>>

/**
 * Encodes an application's headers for a record, into memory of their own.
 *
 * @throws TypeError that names the header whose value is something else.
 */
export function encodeHeaders(headers: HeaderInput): RawHeader[] {
  const problem = problemOfHeaders(headers)
  if (problem !== undefined) throw new TypeError(`headers ${problem}`)
  return Object.entries(headers).map(([name, value]) => toHeader(name, value))
}

/** What is wrong with it, if anything. A list or a Map has its headers elsewhere: it would be taken for an object without any. */
export function problemOfHeaders(headers: unknown): string | undefined {
  if (typeof headers === 'object' && headers !== null && !(Symbol.iterator in headers)) return undefined
  return `must be an object, such as { name: 'value' }, not ${classOf(headers)}`
}

/** @throws TypeError when the value is something else. */
export function toHeader(name: string, value: string | Uint8Array | null): RawHeader {
  return [Buffer.from(name), toBytes(name, value)]
}

function toBytes(name: string, value: string | Uint8Array | null): Buffer | null {
  if (value === null) return null
  if (typeof value === 'string') return Buffer.from(value)
  if (value instanceof Uint8Array) return Buffer.from(value)
  throw new TypeError(`header ${JSON.stringify(name)} must be a string, bytes or null, not ${typeof value}`)
}

/** The headers of a record that was received, to look into: names are decoded only when asked for. */
export class MessageHeaders implements Iterable<[name: string, value: Buffer | null]> {
  readonly raw: readonly RawHeader[]

  /** @throws TypeError of what is no list */
  constructor(raw: readonly RawHeader[]) {
    if (!Array.isArray(raw)) throw new TypeError(`headers must be a list of raw ones, not ${classOf(raw)}`)
    this.raw = raw
  }

  /** The bytes of the last header with this name; `null` for a null value, `undefined` when there is none. */
  get(name: string): Buffer | null | undefined {
    return lastHeader(this.raw, Buffer.from(name))
  }

  /** The last header with this name as UTF-8 text; `undefined` when there is none or its value is null. */
  text(name: string): string | undefined {
    return this.get(name)?.toString()
  }

  *[Symbol.iterator](): Iterator<[name: string, value: Buffer | null]> {
    for (const [name, value] of this.raw) yield [name.toString(), value]
  }
}
