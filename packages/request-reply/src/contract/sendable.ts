/**
 * What is validated is what is sent: a value without what its schema strips.
 */
import type { Side } from './codec.ts'
import type { AnyOperation } from './operation.ts'
import { validatePayload } from './coding.ts'
import type { Validated } from './payload.ts'

/**
 * Validates a value before it is sent, and gives what is to be encoded; a promise only where the schema is asynchronous.
 *
 * @throws MilenaError `MILENA_CODEC_FAILED` when the schema itself fails; a promise rejects with it
 */
export function sendable(
  operation: AnyOperation,
  side: Side,
  value: unknown,
): Validated<unknown> | Promise<Validated<unknown>> {
  const checked = validatePayload(operation, side, value)
  if (checked instanceof Promise) return checked.then((result) => ('issues' in result ? result : { value }))
  return 'issues' in checked ? checked : { value }
}
