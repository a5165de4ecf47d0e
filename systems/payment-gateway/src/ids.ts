/** Ids that are made of those which come from outside: one rule for gateway, worker and provider. */
import { z } from 'zod'

/** A refund's id between gateway, worker and provider: the order's, a slash, the one that its caller gave it. */
export const refundIdSchema = z
  .string()
  .regex(
    /^[A-Za-z0-9._:~-]{1,100}\/[A-Za-z0-9._:~-]{1,100}$/,
    "must be an order's id, a slash and a refund's",
  )

/** The provider's idempotency keys: of what is moved, the kind, a colon and one of the ids above. */
export const keySchema = z.string().regex(/^[\x21-\x7e]{1,255}$/, 'must be 1 to 255 visible ASCII characters')

export function composeRefundId(orderId: string, refundId: string): string {
  return `${orderId}/${refundId}`
}
