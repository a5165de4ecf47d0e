/**
 * JSON whose integers keep their digits.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { MilenaError, OptionsError } from '../errors.ts'
import type { PlainPayload } from './codec.ts'
import { parseJson, refuseNoSchema, writeJson } from './payload.ts'

/** The most digits of an integer: reading one takes more than linear time. */
const mostDigits = 1000

/**
 * As `json()`, but an integer beyond ±(2^53 − 1) is read as a `bigint`, with all its digits (at most 1,000), and a
 * `bigint` is written as digits. An integer within those bounds is read as a number, whichever it was written from: a
 * schema takes both, such as `z.union([z.int(), z.bigint()])`, or makes one of them, such as `z.coerce.bigint()`.
 *
 * A number with a fraction or an exponent is a double, as with `json()`: of more than 17 significant digits the rest is
 * lost. Send such an amount as text, or as an integer of its smallest unit.
 *
 * @throws OptionsError (`MILENA_OPTIONS_INVALID`) where the JavaScript engine cannot do that; Node can since 22.
 */
export function losslessJson<Input, Output = Input>(
  schema?: StandardSchemaV1<Input, Output>,
): PlainPayload<Input, Output> {
  if (rawJson === undefined) {
    throw new OptionsError('losslessJson', [
      'this JavaScript engine has no JSON.rawJSON; Node has it since 22',
    ])
  }
  refuseNoSchema('losslessJson', schema)
  return { codec: 'lossless-json', schema, encode: encodeLosslessJson, decode: decodeLosslessJson }
}

/** https://tc39.es/proposal-json-parse-with-source; it comes together with the reviver's third argument. */
const { rawJSON: rawJson } = JSON as unknown as { readonly rawJSON?: (text: string) => unknown }

export function encodeLosslessJson(value: unknown): Buffer {
  return writeJson(value, digitsOf)
}

/** Looks at what is being written, not at `value`: that is what a `BigInt.prototype.toJSON` of the application made of it. */
function digitsOf(this: object, key: string, value: unknown): unknown {
  const written = (this as Record<string, unknown>)[key]
  return typeof written === 'bigint' ? rawJson!(String(written)) : value
}

export function decodeLosslessJson(bytes: Buffer | null): unknown {
  return parseJson(bytes, (text) =>
    // An integer that a double cannot hold has 16 digits at least: without them a reviver need not look at every value.
    sixteenDigits.test(text)
      ? JSON.parse(text, readDigits as (key: string, value: unknown) => unknown)
      : JSON.parse(text),
  )
}

const sixteenDigits = /\d{16}/
const integer = /^-?\d+$/

function readDigits(_key: string, value: unknown, context: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  const { source } = context
  if (source === undefined || !integer.test(source)) return value
  if (source.length > mostDigits) {
    throw new MilenaError('MILENA_CODEC_FAILED', `a number of more than ${mostDigits} digits is refused`)
  }
  return BigInt(source)
}
