/** Asks the provider what became of a payment. Nothing here can move money. */
import type { JsonClient } from '@milena/hosting'
import type { Outcome, Payment } from './payment.ts'

/** Milliseconds that the provider has to answer a question. */
const timeout = 2_000

interface Told {
  readonly refundId?: string
  readonly status: 'processing' | 'approved' | 'declined' | 'failed'
  readonly approvalId?: string
  readonly reason?: string
  readonly amount: number
}

interface ChargeAnswer extends Told {
  readonly refunds?: readonly Told[]
  /** The provider's clock, in milliseconds since the Unix epoch. */
  readonly now: number
}

/** The outcome of a payment, or `undefined` when it cannot be told yet. Rejects when the provider does not answer. */
export async function askProvider(client: JsonClient, payment: Payment): Promise<Outcome | undefined> {
  const path = `/charges/${encodeURIComponent(payment.orderId)}`
  const { status, body } = await client.call({ method: 'GET', path, timeout })
  if (status !== 200 && status !== 404) throw new Error(`the provider answered ${status}`)
  const answer = body as ChargeAnswer
  const charge = status === 200 ? answer : undefined
  const told =
    payment.kind === 'charge' ? charge : charge?.refunds?.find(({ refundId }) => refundId === payment.id)
  if (told === undefined) {
    // By one clock, the provider's: after this it begins nothing for the payment, so this answer is its last word.
    if (answer.now <= payment.expiresAt.getTime()) return undefined
    return {
      state: 'failed',
      reason: `never ${payment.kind === 'charge' ? 'charged' : 'refunded'}: its time is over`,
    }
  }
  if (told.status === 'processing') return undefined
  if (told.amount !== payment.amount) {
    return {
      state: 'mismatched',
      reason: `the provider has ${told.status} ${told.amount}, not ${payment.amount}`,
    }
  }
  return { state: told.status, approvalId: told.approvalId, reason: told.reason }
}
