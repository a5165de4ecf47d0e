/** The body of a request: what its value becomes on the wire, and the headers that its codec adds. */
import { encodePayload, type Encoded } from '../contract/coding.ts'
import type { AnyOperation } from '../contract/operation.ts'
import type { Validated } from '../contract/payload.ts'
import { sendable } from '../contract/sendable.ts'
import { MilenaError, ValidationError } from '../errors.ts'
import type { ReservedHeaders } from '../wire/reserved-headers.ts'
import { wordsOf } from '../words.ts'

/**
 * Validates and encodes; a promise only where schema or codec are asynchronous.
 *
 * @throws MilenaError `MILENA_REQUEST_INVALID`, `MILENA_CODEC_FAILED`
 */
export function encodeRequest(operation: AnyOperation, value: unknown): Encoded | Promise<Encoded> {
  return encoded(operation, sendable(operation, 'request', value))
}

function encoded(
  operation: AnyOperation,
  checked: Validated<unknown> | Promise<Validated<unknown>>,
): Encoded | Promise<Encoded> {
  if (checked instanceof Promise) return checked.then((result) => encoded(operation, result))
  if ('issues' in checked) throw new ValidationError('MILENA_REQUEST_INVALID', operation.name, checked.issues)
  return encodePayload(operation, 'request', checked.value, operation.topic)
}

/** @throws MilenaError `MILENA_CODEC_FAILED` when the codec added a header that is one of the library's own */
export function refuseReserved(
  operation: AnyOperation,
  { headers }: Encoded,
  reserved: ReservedHeaders,
): void {
  try {
    reserved.refuse(headers)
  } catch (cause) {
    const message = `operation ${operation.name}: the codec of the request: ${wordsOf(cause)}`
    throw new MilenaError('MILENA_CODEC_FAILED', message, { cause })
  }
}
