/** Refunds of one order add up to at most what was charged, however many are asked for at once. */
import { inTransaction } from '@milena/hosting'
import type { Pool } from 'pg'
import { NotNow } from './in-hand.ts'
import type { Payment } from './payment.ts'
import type { PaymentStore } from './payment-store.ts'

export interface RefundWish {
  readonly orderId: string
  readonly refundId: string
  /** Default: all that is left. */
  readonly amount: number | undefined
  readonly owner: string
  readonly expiresAt: Date
}

export type OpenedRefund =
  | { readonly result: 'opened'; readonly refund: Payment }
  | { readonly result: 'exists'; readonly refund: Payment }
  | { readonly result: 'no-charge' }
  | { readonly result: 'not-approved'; readonly charge: Payment }
  | { readonly result: 'too-much'; readonly left: number }
  | { readonly result: 'too-many' }

/** Refunds of one order, whatever became of them. */
export const mostRefunds = 500

/** Writes a refund down as pending if it fits. The charge's row lock lets the refunds of an order in one by one. */
export async function openRefund(pool: Pool, store: PaymentStore, wish: RefundWish): Promise<OpenedRefund> {
  const { orderId, refundId, owner, expiresAt } = wish
  return inTransaction(pool, async (client): Promise<OpenedRefund> => {
    await client.query(`select 1 from payments where kind = 'charge' and id = $1 for update`, [orderId])
    const charge = await store.find({ kind: 'charge', id: orderId }, client)
    if (charge === undefined) return { result: 'no-charge' }
    const existing = await store.find({ kind: 'refund', id: refundId }, client)
    if (existing !== undefined) return { result: 'exists', refund: existing }
    if (charge.state !== 'approved') return { result: 'not-approved', charge }
    const { rows } = await client.query<{ sum: number; count: number }>(
      // One that is pending, unknown or mismatched may have been paid out, or may yet be.
      `select coalesce(sum(amount) filter (where state not in ('declined', 'failed')), 0)::bigint as sum,
         count(*)::int as count
       from payments where kind = 'refund' and order_id = $1`,
      [orderId],
    )
    if (rows[0]!.count >= mostRefunds) return { result: 'too-many' }
    const left = charge.amount - rows[0]!.sum
    const amount = wish.amount ?? left
    if (amount > left || amount === 0) return { result: 'too-much', left }
    const id = { kind: 'refund', id: refundId } as const
    const isNew = await store.insert(
      { ...id, orderId, amount, method: charge.method, owner, expiresAt },
      client,
    )
    if (!isNew) throw new NotNow('the refund could not be written down in time')
    return { result: 'opened', refund: (await store.find(id, client))! }
  })
}
