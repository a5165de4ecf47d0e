/**
 * A payload: how the value of a request or reply becomes bytes, and which schema it must match.
 *
 * The wire carries the schema's *input* form: the sending side validates and sends what it was given, the receiving
 * side decodes, validates and hands over the schema's *output*. So a schema with defaults or transforms works on both.
 */
import { isUtf8 } from 'node:buffer'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { MilenaError, type ValidationIssue } from '../errors.ts'

/** Any payload, where its types do not matter. */
export interface AnyPayload {
  readonly codec: 'json' | 'string' | 'bytes' | 'nothing'
  readonly schema: StandardSchemaV1 | undefined
  encode(value: never): Buffer | null
  decode(bytes: Buffer | null): unknown
}

export interface Payload<Input, Output = Input> extends AnyPayload {
  /** Any Standard Schema (https://standardschema.dev); without one every value passes. */
  readonly schema: StandardSchemaV1<Input, Output> | undefined
  /** Throws `MILENA_CODEC_FAILED` when the value cannot be encoded. */
  encode(value: Input): Buffer | null
  /** Throws `MILENA_CODEC_FAILED` when the bytes cannot be decoded. The result still has to match the schema. */
  decode(bytes: Buffer | null): unknown
}

/** JSON (RFC 8259) in UTF-8. An object with a key `__proto__`, or `constructor.prototype`, is refused. */
export function json<Input, Output = Input>(
  schema?: StandardSchemaV1<Input, Output>,
): Payload<Input, Output> {
  return { codec: 'json', schema, encode: encodeJson, decode: decodeJson }
}

/** UTF-8 text. */
export function string<Input extends string = string, Output = Input>(
  schema?: StandardSchemaV1<Input, Output>,
): Payload<Input, Output> {
  return { codec: 'string', schema, encode: encodeString, decode: decodeString }
}

/** The bytes as they are, copied on both sides: what is sent and what is received is nobody else's memory. */
export function bytes<Output = Buffer>(
  schema?: StandardSchemaV1<Uint8Array, Output>,
): Payload<Uint8Array, Output> {
  return { codec: 'bytes', schema, encode: encodeBytes, decode: decodeBytes }
}

/** No value: an empty record. What comes is ignored. */
export const nothing: Payload<void> = {
  codec: 'nothing',
  schema: undefined,
  encode: () => emptyBuffer,
  decode: () => undefined,
}

const emptyBuffer = Buffer.alloc(0)

function encodeJson(value: unknown): Buffer {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (cause) {
    throw new MilenaError('MILENA_CODEC_FAILED', `not a JSON value: ${(cause as Error).message}`, { cause })
  }
  if (text === undefined) throw new MilenaError('MILENA_CODEC_FAILED', `not a JSON value: ${typeof value}`)
  return Buffer.from(text)
}

function decodeJson(bytes: Buffer | null): unknown {
  if (bytes === null || bytes.length === 0)
    throw new MilenaError('MILENA_CODEC_FAILED', 'not JSON: it is empty')
  const text = decodeUtf8(bytes)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new MilenaError('MILENA_CODEC_FAILED', `not JSON: ${(cause as Error).message}`, { cause })
  }
  if (mayPollute.test(text) && pollutes(value)) {
    throw new MilenaError(
      'MILENA_CODEC_FAILED',
      'JSON with a key __proto__ or constructor.prototype is refused',
    )
  }
  return value
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

function encodeString(value: string): Buffer {
  if (typeof value !== 'string') throw new MilenaError('MILENA_CODEC_FAILED', `not a string: ${typeof value}`)
  return Buffer.from(value)
}

function decodeString(bytes: Buffer | null): string {
  if (bytes === null) throw new MilenaError('MILENA_CODEC_FAILED', 'not a string: the value is null')
  return decodeUtf8(bytes)
}

function decodeUtf8(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new MilenaError('MILENA_CODEC_FAILED', 'not UTF-8')
  return bytes.toString()
}

function encodeBytes(value: Uint8Array): Buffer {
  if (!(value instanceof Uint8Array))
    throw new MilenaError('MILENA_CODEC_FAILED', `not bytes: ${typeof value}`)
  return Buffer.from(value)
}

function decodeBytes(bytes: Buffer | null): Buffer {
  return bytes === null ? emptyBuffer : Buffer.from(bytes)
}

export type Validated<Output> = { readonly value: Output } | { readonly issues: readonly ValidationIssue[] }

/** Validates; a promise only where the schema itself is asynchronous. */
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
