/**
 * The payloads of our own: JSON, text, bytes, nothing; and how any payload's schema validates.
 *
 * What the JSON codec says of a text never quotes it: it may have a card number in it.
 */
import { isUtf8 } from 'node:buffer'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { MilenaError, OptionsError, type ValidationIssue } from '../errors.ts'
import { classOf } from '../words.ts'
import type { PlainPayload } from './codec.ts'
import { malformedAt } from './json-position.ts'

/**
 * JSON (RFC 8259) in UTF-8. An object with a key `__proto__`, or `constructor.prototype`, is refused.
 *
 * Numbers are doubles, as everywhere in JavaScript: of an integer beyond ±(2^53 − 1), such as a 64-bit id of a Java
 * service, the last digits are lost without a word. Have it sent as text, or use `losslessJson()`.
 */
export function json<Input, Output = Input>(
  schema?: StandardSchemaV1<Input, Output>,
): PlainPayload<Input, Output> {
  refuseNoSchema('json', schema)
  return { codec: 'json', schema, encode: encodeJson, decode: decodeJson }
}

export function encodeJson(value: unknown): Buffer {
  return writeJson(value, undefined)
}

export function writeJson(
  value: unknown,
  replacer: ((this: object, key: string, value: unknown) => unknown) | undefined,
): Buffer {
  let text: string | undefined
  try {
    text = JSON.stringify(value, replacer)
  } catch (cause) {
    throw notJson(cause)
  }
  if (text === undefined) throw new MilenaError('MILENA_CODEC_FAILED', `not a JSON value: ${typeof value}`)
  return Buffer.from(text)
}

/** V8 lists the properties of a circle, line by line; what a `toJSON` or a getter throws may say anything. */
function notJson(cause: unknown): unknown {
  const message = cause instanceof TypeError || cause instanceof RangeError ? cause.message : ''
  if (message.startsWith('Maximum call stack'))
    return new MilenaError('MILENA_CODEC_FAILED', 'not a JSON value: it has too many levels')
  if (message.startsWith('Converting circular structure'))
    return new MilenaError('MILENA_CODEC_FAILED', 'not a JSON value: it refers to itself')
  if (message.startsWith('Do not know how to serialize a BigInt'))
    return new MilenaError(
      'MILENA_CODEC_FAILED',
      'not a JSON value: a bigint is in it; losslessJson() writes it',
    )
  return cause
}

export function decodeJson(bytes: Buffer | null): unknown {
  return parseJson(bytes, JSON.parse)
}

export function parseJson(bytes: Buffer | null, parse: (text: string) => unknown): unknown {
  if (bytes === null || bytes.length === 0)
    throw new MilenaError('MILENA_CODEC_FAILED', 'not JSON: it is empty')
  const text = decodeUtf8(bytes)
  let value: unknown
  try {
    value = parse(text)
  } catch (error) {
    throw error instanceof SyntaxError ? malformed(error.message, text) : error
  }
  if (mayPollute.test(text) && pollutes(value)) {
    throw new MilenaError(
      'MILENA_CODEC_FAILED',
      'JSON with a key __proto__ or constructor.prototype is refused',
    )
  }
  return value
}

/** Says where, and nothing else of what V8 says: it quotes the text. So it is no `cause` either. */
function malformed(message: string, text: string): MilenaError {
  const told = /JSON at position (\d+)(?: \(line \d+ column \d+\))?$/.exec(message)?.[1]
  const at = told === undefined ? malformedAt(text) : Number(told)
  const where = at < text.length ? `at character ${at}` : 'at its end'
  return new MilenaError('MILENA_CODEC_FAILED', `not JSON: malformed ${where}`)
}

/** A cheap look before the walk; the escapes are there because JSON may spell any letter as \\uXXXX. */
const mayPollute = /proto|\\u00/i

/** Without recursion: a value may be nested deeper than the stack. */
function pollutes(value: unknown): boolean {
  const left: unknown[] = [value]
  while (left.length > 0) {
    const one = left.pop()
    if (typeof one !== 'object' || one === null) continue
    if (Object.hasOwn(one, '__proto__')) return true
    if (Object.hasOwn(one, 'constructor')) {
      const inner: unknown = (one as { constructor: unknown }).constructor
      if (typeof inner === 'object' && inner !== null && Object.hasOwn(inner, 'prototype')) return true
    }
    for (const child of Object.values(one)) left.push(child)
  }
  return false
}

/** @throws OptionsError of what should be a schema and is none */
export function refuseNoSchema(payload: string, schema: unknown): void {
  if (schema === undefined || isSchema(schema)) return
  throw new OptionsError(`${payload}()`, [`it takes a Standard Schema or nothing, not ${classOf(schema)}`])
}

/** Whether it has what every Standard Schema has (https://standardschema.dev). */
export function isSchema(value: unknown): boolean {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return false
  const standard = (value as { '~standard'?: { validate?: unknown } | null })['~standard']
  return typeof standard === 'object' && standard !== null && typeof standard.validate === 'function'
}

/** UTF-8 text. */
export function string<Input extends string = string, Output = Input>(
  schema?: StandardSchemaV1<Input, Output>,
): PlainPayload<Input, Output> {
  refuseNoSchema('string', schema)
  return { codec: 'string', schema, encode: encodeString, decode: decodeString }
}

/** The bytes as they are, copied on both sides: what is sent and what is received is nobody else's memory. */
export function bytes<Output = Buffer>(
  schema?: StandardSchemaV1<Uint8Array, Output>,
): PlainPayload<Uint8Array, Output> {
  refuseNoSchema('bytes', schema)
  return { codec: 'bytes', schema, encode: encodeBytes, decode: decodeBytes }
}

/** No value: an empty record. What comes is ignored. */
export const nothing: PlainPayload<void> = {
  codec: 'nothing',
  schema: undefined,
  encode: encodeNothing,
  decode: decodeNothing,
}

const emptyBuffer = Buffer.alloc(0)

export function encodeString(value: string): Buffer {
  if (typeof value !== 'string') throw new MilenaError('MILENA_CODEC_FAILED', `not a string: ${typeof value}`)
  return Buffer.from(value)
}

export function decodeString(bytes: Buffer | null): string {
  if (bytes === null) throw new MilenaError('MILENA_CODEC_FAILED', 'not a string: the value is null')
  return decodeUtf8(bytes)
}

function decodeUtf8(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new MilenaError('MILENA_CODEC_FAILED', 'not UTF-8')
  return bytes.toString()
}

export function encodeBytes(value: Uint8Array): Buffer {
  if (!(value instanceof Uint8Array))
    throw new MilenaError('MILENA_CODEC_FAILED', `not bytes: ${typeof value}`)
  return Buffer.from(value)
}

export function decodeBytes(bytes: Buffer | null): Buffer {
  return bytes === null ? emptyBuffer : Buffer.from(bytes)
}

export function encodeNothing(): Buffer {
  return emptyBuffer
}

export function decodeNothing(): undefined {
  return undefined
}

export type Validated<Output> = { readonly value: Output } | { readonly issues: readonly ValidationIssue[] }

/** Validates; a promise only where the schema itself is asynchronous. Throws what the schema throws. */
export function validate<Output>(
  schema: StandardSchemaV1<unknown, Output> | undefined,
  value: unknown,
): Validated<Output> | Promise<Validated<Output>> {
  if (schema === undefined) return { value: value as Output }
  const result = schema['~standard'].validate(value)
  // Not `instanceof Promise`: a promise of another make, taken for a result, would let every value pass.
  return 'then' in result ? Promise.resolve(result).then(readResult<Output>) : readResult(result)
}

function readResult<Output>(result: StandardSchemaV1.Result<Output>): Validated<Output> {
  if (result.issues === undefined) return { value: result.value }
  return { issues: result.issues.map((issue) => ({ path: formatPath(issue.path), message: issue.message })) }
}

function formatPath(path: StandardSchemaV1.Issue['path']): string {
  let text = ''
  for (const segment of path ?? []) {
    const key = typeof segment === 'object' ? segment.key : segment
    if (typeof key === 'number') text += `[${key}]`
    else text += text === '' ? String(key) : `.${String(key)}`
  }
  return text
}
