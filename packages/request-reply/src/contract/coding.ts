/**
 * An operation's payloads at work: what requester and replier call to encode, decode and validate.
 *
 * Whatever a codec or a schema throws, or returns in place of bytes, leaves here as an error of ours that names the
 * operation and quotes nothing of the value.
 */
import { isUint8Array } from 'node:util/types'
import { MilenaError, ValidationError, type ErrorDetails } from '../errors.ts'
import { MessageHeaders, toHeader, type RawHeader } from '../wire/headers.ts'
import { classOf } from '../words.ts'
import type { DecodeContext, EncodeContext, Side } from './codec.ts'
import type { AnyOperation } from './operation.ts'
import {
  decodeBytes,
  decodeJson,
  decodeNothing,
  decodeString,
  encodeBytes,
  encodeJson,
  encodeNothing,
  encodeString,
  validate,
  type Validated,
} from './payload.ts'
import { explainLoss } from './round-trip.ts'
import { decodeLosslessJson, encodeLosslessJson } from './lossless-json.ts'

/** A value as bytes, with the headers that its codec has added: not yet checked against the reserved names. */
export interface Encoded {
  readonly value: Buffer | null
  readonly headers: readonly RawHeader[]
}

/** What is decoded of a record. */
export interface RecordContent {
  readonly topic: string
  readonly value: Buffer | null
  readonly headers: readonly RawHeader[]
}

/** Our own codecs: they are synchronous, and ask for no context. */
const plainEncoders: ReadonlySet<unknown> = new Set([
  encodeJson,
  encodeLosslessJson,
  encodeString,
  encodeBytes,
  encodeNothing,
])
const plainDecoders: ReadonlySet<unknown> = new Set([
  decodeJson,
  decodeLosslessJson,
  decodeString,
  decodeBytes,
  decodeNothing,
])

const none: readonly RawHeader[] = []

/**
 * Encodes what `sendable` has given; a promise only where the codec is asynchronous.
 *
 * Of the first values of an operation it checks that the receiver will take them (`checkRoundTrip`).
 *
 * @param topic where the record goes
 * @throws MilenaError `MILENA_CODEC_FAILED`; ValidationError `MILENA_REQUEST_INVALID` or `MILENA_REPLY_INVALID` of a value
 *   that does not survive its codec; a promise rejects with them
 */
export function encodePayload(
  operation: AnyOperation,
  side: Side,
  value: unknown,
  topic: string,
): Encoded | Promise<Encoded> {
  const payload = operation[side]
  try {
    // oxlint-disable-next-line typescript/unbound-method -- only compared
    if (plainEncoders.has(payload.encode)) {
      const plain = { value: payload.encode(value as never) as Buffer | null, headers: none }
      return isUnproven(operation, side, true) ? prove(operation, side, value, topic, plain) : plain
    }
    const context = new Encoding(operation.name, side, topic)
    const result: unknown = payload.encode(value as never, context)
    const finish = (bytes: unknown): Encoded | Promise<Encoded> => {
      const done = encoded(operation, side, bytes, context)
      return isUnproven(operation, side, false) ? prove(operation, side, value, topic, done) : done
    }
    if (!isThenable(result)) return finish(result)
    return Promise.resolve(result)
      .then(finish)
      .catch((cause: unknown) => {
        throw codecFailed(operation, side, 'encoded', cause)
      })
  } catch (cause) {
    throw codecFailed(operation, side, 'encoded', cause)
  }
}

/**
 * Decodes a record's value; a promise only where the codec is asynchronous.
 *
 * @throws MilenaError `MILENA_CODEC_FAILED`, of a reply with `sent: 'yes'` and `effect: 'done'`; a promise rejects with it
 */
export function decodePayload(operation: AnyOperation, side: Side, record: RecordContent): unknown {
  const payload = operation[side]
  try {
    // oxlint-disable-next-line typescript/unbound-method -- only compared
    if (plainDecoders.has(payload.decode)) return payload.decode(record.value)
    const headers = new MessageHeaders(record.headers)
    const context: DecodeContext = { operation: operation.name, side, topic: record.topic, headers }
    const result: unknown = payload.decode(record.value, context)
    if (!isThenable(result)) return result
    return Promise.resolve(result).catch((cause: unknown) => {
      throw codecFailed(operation, side, 'decoded', cause)
    })
  } catch (cause) {
    throw codecFailed(operation, side, 'decoded', cause)
  }
}

/**
 * Validates what was decoded, for its receiver; a promise only where the schema is asynchronous.
 *
 * @throws MilenaError `MILENA_CODEC_FAILED` when the schema itself fails; a promise rejects with it
 */
export function validatePayload(
  operation: AnyOperation,
  side: Side,
  decoded: unknown,
): Validated<unknown> | Promise<Validated<unknown>> {
  try {
    const checked = validate(operation[side].schema, decoded)
    if (!(checked instanceof Promise)) return checked
    return checked.catch((cause: unknown) => {
      throw schemaFailed(operation, side, cause)
    })
  } catch (cause) {
    throw schemaFailed(operation, side, cause)
  }
}

export function schemaFailed(operation: AnyOperation, side: Side, cause: unknown): MilenaError {
  const message = `operation ${operation.name}: the schema of the ${side} failed: ${classOf(cause)}`
  return new MilenaError('MILENA_CODEC_FAILED', message, { ...factsOf(side), cause })
}

/** Whether this value is one of the first, which are checked to survive their codec. */
function isUnproven(operation: AnyOperation, side: Side, plain: boolean): boolean {
  const { unchecked, always, asynchronous } = operation.learned[side]
  return unchecked > 0 && operation[side].schema !== undefined && (always || (plain && !asynchronous))
}

/** Does to the bytes what their receiver will do, so that what it would refuse is refused here and now. */
function prove(
  operation: AnyOperation,
  side: Side,
  value: unknown,
  topic: string,
  done: Encoded,
): Encoded | Promise<Encoded> {
  const finish = (checked: Validated<unknown>): Encoded => {
    if ('issues' in checked) {
      const code = side === 'request' ? 'MILENA_REQUEST_INVALID' : 'MILENA_REPLY_INVALID'
      throw new ValidationError(
        code,
        operation.name,
        explainLoss(operation[side].codec, value, checked.issues),
      )
    }
    operation.learned[side].unchecked--
    return done
  }
  const check = (decoded: unknown): Encoded | Promise<Encoded> => {
    const checked = validatePayload(operation, side, decoded)
    return checked instanceof Promise ? checked.then(finish) : finish(checked)
  }
  const decoded = decodePayload(operation, side, { topic, ...done })
  return isThenable(decoded) ? Promise.resolve(decoded).then(check) : check(decoded)
}

class Encoding implements EncodeContext {
  readonly operation: string
  readonly side: Side
  readonly topic: string
  #headers: RawHeader[] | undefined
  #ended = false

  constructor(operation: string, side: Side, topic: string) {
    this.operation = operation
    this.side = side
    this.topic = topic
  }

  addHeader(name: string, value: string | Uint8Array | null): void {
    if (this.#ended) throw new TypeError(`header ${JSON.stringify(name)} comes after the encoding has ended`)
    ;(this.#headers ??= []).push(toHeader(name, value))
  }

  end(): readonly RawHeader[] {
    this.#ended = true
    return this.#headers ?? none
  }
}

function encoded({ name }: AnyOperation, side: Side, result: unknown, context: Encoding): Encoded {
  const headers = context.end()
  if (result === null || Buffer.isBuffer(result)) return { value: result, headers }
  if (isUint8Array(result))
    return { value: Buffer.from(result.buffer, result.byteOffset, result.byteLength), headers }
  const what = result === undefined ? 'nothing' : classOf(result)
  const message =
    `operation ${name}: the codec of the ${side} returned ${what} ` +
    'in place of a Buffer, a Uint8Array, null, or a promise of one'
  throw new MilenaError('MILENA_CODEC_FAILED', message, factsOf(side))
}

/** Our own errors, and those that a codec's author wrote for this, say what they say; of others only the class is said. */
export function codecFailed(operation: AnyOperation, side: Side, done: string, cause: unknown): MilenaError {
  const prefix = `operation ${operation.name}: `
  if (cause instanceof ValidationError) return cause
  if (cause instanceof MilenaError && cause.code === 'MILENA_CODEC_FAILED') {
    if (cause.message.startsWith(prefix)) return cause
    const details = { ...factsOf(side), ...(cause.cause !== undefined && { cause: cause.cause }) }
    return new MilenaError(
      'MILENA_CODEC_FAILED',
      `${prefix}the ${side} cannot be ${done}: ${cause.message}`,
      details,
    )
  }
  // What JSON.parse throws quotes the text.
  const details = cause instanceof SyntaxError ? factsOf(side) : { ...factsOf(side), cause }
  return new MilenaError(
    'MILENA_CODEC_FAILED',
    `${prefix}the ${side} cannot be ${done}: ${classOf(cause)}`,
    details,
  )
}

/** A reply that cannot be read, or sent, was given by a handler that had ended. */
function factsOf(side: Side): ErrorDetails {
  return side === 'request' ? {} : { sent: 'yes', outcomeKnown: false, effect: 'done' }
}

/** Whether `await` would wait for it. Throws what a getter of that name throws. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  if (typeof value !== 'function' && (typeof value !== 'object' || value === null)) return false
  return typeof (value as { then?: unknown }).then === 'function'
}
