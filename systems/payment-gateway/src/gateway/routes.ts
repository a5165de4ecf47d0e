/** The gateway's HTTP interface to payments. */
import { randomUUID } from 'node:crypto'
import { type App, problem, ProblemError, unavailable } from '@milena/hosting'
import { composeRefundId } from '../ids.ts'
import { answer } from './answer.ts'
import { NotNow, type Gateway } from './gateway.ts'
import type { PaymentStore } from './payment-store.ts'
import type { Reconciler } from './reconciler.ts'
import { refundIdOf, type Payment } from './payment.ts'
import {
  approvedSchema,
  declinedSchema,
  orderParams,
  orderSchema,
  paymentSchema,
  refundHeaders,
  refundSchema,
  unknownSchema,
  type PaymentView,
} from './schemas.ts'

const outcomes = {
  200: approvedSchema,
  400: problem('an invalid request; every problem is listed'),
  402: declinedSchema.describe('declined by the provider'),
  502: problem("the worker's error"),
  503: problem('overloaded or closing; nothing was begun, try again after Retry-After seconds'),
  504: unknownSchema,
}

/** Milliseconds after which a payment that is not settled is asked about when somebody wants to see it. */
const unsettledFor = 1_000

export function addPaymentRoutes(
  app: App,
  gateway: Gateway,
  store: PaymentStore,
  reconciler: Reconciler,
): void {
  app.post(
    '/payments',
    {
      schema: {
        summary: 'Pay for an order, once',
        body: orderSchema,
        response: { ...outcomes, 409: problem('the same order with other content') },
      },
    },
    async ({ body }, reply) => {
      const answered = await gateway.charge(body).catch(refuseNow)
      if (answered === undefined) {
        throw new ProblemError(409, 'This order exists with other content', { orderId: body.orderId })
      }
      return answer(reply, answered)
    },
  )

  app.post(
    '/payments/:orderId/refund',
    {
      schema: {
        summary: 'Refund all or part of a payment',
        params: orderParams,
        headers: refundHeaders,
        body: refundSchema,
        response: {
          ...outcomes,
          404: problem('no such payment'),
          409: problem('not approved, more than is left, or the same refund with another amount'),
        },
      },
    },
    async ({ params: { orderId }, headers, body }, reply) => {
      const refundId = composeRefundId(orderId, body.refundId ?? headers['idempotency-key'] ?? randomUUID())
      const result = await gateway.refund(orderId, refundId, body.amount).catch(refuseNow)
      if (!('result' in result)) {
        if (body.amount !== undefined && result.payment.amount !== body.amount) {
          throw new ProblemError(409, 'This refund exists with another amount', { orderId, refundId })
        }
        return answer(reply, result)
      }
      if (result.result === 'no-charge') throw new ProblemError(404, 'No such payment', { orderId })
      if (result.result === 'not-approved') {
        throw new ProblemError(409, `The payment is ${result.charge.state}, not approved`, { orderId })
      }
      throw new ProblemError(409, 'More than is left of the payment', { orderId, left: result.left })
    },
  )

  app.get(
    '/payments/:orderId',
    {
      schema: {
        summary: 'How a payment and its refunds stand, and what happened to them',
        params: orderParams,
        response: { 200: paymentSchema, 400: outcomes[400], 404: problem('no such payment') },
      },
    },
    async ({ params: { orderId } }) => {
      const found = await store.find({ kind: 'charge', id: orderId })
      if (found === undefined) throw new ProblemError(404, 'No such payment', { orderId })
      const charge = await asItIsNow(found)
      const refunds = await Promise.all((await store.refundsOf(orderId)).map(asItIsNow))
      return {
        orderId,
        method: charge.method,
        ...(await view(store, charge)),
        refunds: await Promise.all(
          refunds.map(async (refund) =>
            Object.assign({ refundId: refundIdOf(refund) }, await view(store, refund)),
          ),
        ),
      }
    },
  )

  async function asItIsNow(payment: Payment): Promise<Payment> {
    const isSettled = payment.state !== 'pending' && payment.state !== 'unknown'
    if (isSettled || Date.now() - payment.createdAt.getTime() < unsettledFor) return payment
    // Whoever cannot be asked now will be, until it is settled.
    await reconciler.reconcile(payment).catch(() => {})
    return (await store.find(payment)) ?? payment
  }
}

function refuseNow(error: unknown): never {
  throw error instanceof NotNow ? unavailable(error.message) : error
}

async function view(
  store: PaymentStore,
  payment: Payment,
): Promise<Omit<PaymentView, 'orderId' | 'method' | 'refunds'>> {
  const history = await store.history(payment)
  return {
    amount: payment.amount,
    status: payment.state,
    ...(payment.approvalId !== null && { approvalId: payment.approvalId }),
    ...(payment.reason !== null && { reason: payment.reason }),
    createdAt: payment.createdAt.toISOString(),
    ...(payment.settledAt !== null && { settledAt: payment.settledAt.toISOString() }),
    history: history.map(({ at, event, details }) => Object.assign({ at: at.toISOString(), event }, details)),
  }
}
