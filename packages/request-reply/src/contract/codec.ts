/**
 * A payload: how the value of a request or reply becomes bytes, and which schema it must match.
 *
 * The wire carries the schema's *input* form: the sending side validates and sends what it was given, without what the
 * schema strips (`sendable.ts`); the receiving side decodes, validates and hands over the schema's *output*. So a schema
 * with defaults or transforms works on both.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { MessageHeaders } from '../wire/headers.ts'

/** Which of an operation's two payloads. */
export type Side = 'request' | 'reply'

/** What a codec may know of the record that it decodes. */
export interface DecodeContext {
  readonly operation: string
  readonly side: Side
  /** The topic that the record was read from. */
  readonly topic: string
  /** The record's headers, such as the one that says which schema its value was written with. */
  readonly headers: MessageHeaders
}

/** What a codec may know of the record that it encodes for, and may add to it. */
export interface EncodeContext {
  readonly operation: string
  readonly side: Side
  /** The topic that the record goes to: schema registries name their subjects by it. */
  readonly topic: string
  /**
   * Adds a header to the record; text is written as UTF-8. The names of the library's own headers are refused.
   *
   * @throws TypeError when the value is something else, or the encoding has ended.
   */
  addHeader(name: string, value: string | Uint8Array | null): void
}

/** Any payload, where its types do not matter. */
export interface AnyPayload {
  /** The codec's name, for messages: `json`, `string`, `bytes`, `nothing`, `lossless-json`, or that of your own. */
  readonly codec: string
  readonly schema?: StandardSchemaV1 | undefined
  encode(value: never, context?: EncodeContext): Uint8Array | null | Promise<Uint8Array | null>
  decode(bytes: Buffer | null, context?: DecodeContext): unknown
}

/**
 * A codec with the schema of its values. `json()`, `losslessJson()`, `string()` and `bytes()` make one; one of your own is
 * an object of this shape. Either function may return a promise, as a schema registry needs; one that does not costs
 * none. Both always get their context from the library.
 *
 * What either throws ends in `MILENA_CODEC_FAILED`, with the error as its `cause`. Its message names the error's class
 * only, since many codecs quote the value; throw a `MilenaError` of that code to say more.
 */
export interface Payload<Input, Output = Input> extends AnyPayload {
  /** Any Standard Schema (https://standardschema.dev); without one every value passes. */
  readonly schema: StandardSchemaV1<Input, Output> | undefined
  /** The bytes are the library's from then on: a codec must not write into them again. */
  encode(value: Input, context?: EncodeContext): Uint8Array | null | Promise<Uint8Array | null>
  /** The result, or what its promise resolves with, still has to match the schema. */
  decode(bytes: Buffer | null, context?: DecodeContext): unknown
}

/** A payload whose codec is synchronous, as the library's own are. */
export interface PlainPayload<Input, Output = Input> extends Payload<Input, Output> {
  encode(value: Input): Buffer
}
