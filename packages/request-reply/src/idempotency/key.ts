/** What a request's work is known by, and what it says. */
import { createHash } from 'node:crypto'
import type { RawRequest } from '../replier/raw-request.ts'
import { correlationKey } from '../contract/outcome-query.ts'
import { readIdempotencyKey } from '../wire/milena.ts'

/**
 * The default scope: of one consumer group, one operation. Two groups that share a store both do the work, each once.
 */
export function idempotencyScope(groupId: string, operation: string): string {
  return `${groupId}/${operation}`
}

/**
 * The default key: the request's `milena-idempotency-key`, else its correlation id. `undefined`: it has neither; `problem`: it
 * has one that cannot be.
 */
export function idempotencyKey(
  request: RawRequest,
): { readonly key: string } | { readonly problem: string } | undefined {
  const given = readIdempotencyKey(request.record.headers)
  if (given !== undefined) return given
  const { correlationId } = request
  return correlationId && { key: correlationKey(correlationId.toString('hex')) }
}

/** Different content, different fingerprint: 64 hexadecimal digits. No value at all is another content than an empty one. */
export function fingerprintOf(operation: string, value: Buffer | null): string {
  const hash = createHash('sha256').update(JSON.stringify([operation, value?.length ?? null]))
  if (value !== null) hash.update(value)
  return hash.digest('hex')
}
