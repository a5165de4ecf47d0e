/** The gateway's HTTP interface to payments. */
import { type App, isAway, messageOf, problem, ProblemError, unavailable } from '@milena/hosting'
import { composeRefundId } from '../ids.ts'
import { answer, unknown, type Names } from './answer.ts'
import type { Gateway } from './gateway.ts'
import { NotKnown, NotNow } from './in-hand.ts'
import type { PaymentStore, ToldPayment } from './payment-store.ts'
import type { Reconciler } from './reconciler.ts'
import { mostRefunds } from './refund-opening.ts'
import { refundIdOf, type Payment } from './payment.ts'
import {
  approvedSchema,
  declinedSchema,
  failedSchema,
  orderParams,
  orderSchema,
  paymentSchema,
  refundHeaders,
  refundSchema,
  refundsQuery,
  unknownSchema,
  type PaymentView,
} from './schemas.ts'

const outcomes = {
  200: approvedSchema,
  400: problem('an invalid request; every problem is listed'),
  402: declinedSchema,
  413: problem('a body of more than 64 KiB'),
  415: problem('a body that is not application/json in UTF-8, as it stands'),
  502: failedSchema,
  503: problem('overloaded or closing; nothing was begun, try again after Retry-After seconds'),
  504: unknownSchema,
}

/** Refunds of an order that are shown at once. */
const shownRefunds = 50
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
        operationId: 'pay',
        summary: 'Pay for an order, once',
        body: orderSchema,
        response: { ...outcomes, 409: problem('the same order with other content') },
      },
    },
    async ({ body }, reply) => {
      const answered = await gateway.charge(body).catch(refuse({ orderId: body.orderId }))
      if (answered === undefined) {
        throw new ProblemError(409, 'This order exists with other content', {
          code: 'ORDER_DIFFERS',
          orderId: body.orderId,
        })
      }
      return answer(reply, answered)
    },
  )

  app.post(
    '/payments/:orderId/refund',
    {
      schema: {
        operationId: 'refund',
        summary: 'Refund all or part of a payment, once for each refundId',
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
      const given = body.refundId ?? headers['idempotency-key']
      if (given === undefined) {
        throw new ProblemError(400, 'A refund needs a name', {
          code: 'REFUND_NAME_MISSING',
          detail:
            'give it a refundId, or an Idempotency-Key header: a refund that is sent again is made once by it',
        })
      }
      const refundId = composeRefundId(orderId, given)
      const result = await gateway
        .refund(orderId, refundId, body.amount)
        .catch(refuse({ orderId, refundId: given }))
      if (!('result' in result)) {
        if (body.amount !== undefined && result.payment.amount !== body.amount) {
          throw new ProblemError(409, 'This refund exists with another amount', {
            code: 'REFUND_DIFFERS',
            orderId,
            refundId: given,
          })
        }
        return answer(reply, result)
      }
      if (result.result === 'no-charge') throw noSuchPayment(orderId)
      if (result.result === 'not-approved') {
        throw new ProblemError(409, `The payment is ${result.charge.state}, not approved`, {
          code: 'PAYMENT_NOT_APPROVED',
          orderId,
        })
      }
      if (result.result === 'too-many') {
        throw new ProblemError(409, `This order has ${mostRefunds} refunds, and takes no more`, {
          code: 'TOO_MANY_REFUNDS',
          orderId,
        })
      }
      throw new ProblemError(409, 'More than is left of the payment', {
        code: 'MORE_THAN_IS_LEFT',
        orderId,
        left: result.left,
      })
    },
  )

  app.get(
    '/payments/:orderId',
    {
      schema: {
        operationId: 'getPayment',
        summary: 'How a payment and its refunds stand, and what happened to them',
        params: orderParams,
        querystring: refundsQuery,
        response: {
          503: outcomes[503],
          200: paymentSchema,
          400: outcomes[400],
          404: problem('no such payment'),
        },
      },
    },
    async ({ params: { orderId }, query: { refundsAfter } }) => {
      const found = await store.findTold(orderId).catch(refuseUnread)
      if (found === undefined) throw noSuchPayment(orderId)
      const after = refundsAfter === undefined ? undefined : composeRefundId(orderId, refundsAfter)
      if (after !== undefined && !(await store.find({ kind: 'refund', id: after }).catch(refuseUnread)))
        throw new ProblemError(400, 'Invalid request', {
          detail: `refundsAfter: this payment has no refund ${refundsAfter}`,
        })
      const refunds = await store.refundsOf(orderId, shownRefunds + 1, after).catch(refuseUnread)
      const shown = refunds.slice(0, shownRefunds)
      const unsettled = [found, ...shown].filter(isOverdue)
      // Whoever cannot be asked now will be, until it is settled.
      await Promise.allSettled(unsettled.map((payment) => reconciler.reconcile(payment)))
      const [charge, ...now] =
        unsettled.length === 0
          ? [found, ...shown]
          : await Promise.all([store.findTold(orderId), store.refundsOf(orderId, shownRefunds, after)])
              .then(([charge, refunds]) => [charge ?? found, ...refunds])
              .catch(refuseUnread)
      return {
        orderId,
        method: found.method,
        ...view(charge!),
        refunds: now.map((refund) => Object.assign({ refundId: refundIdOf(refund) }, view(refund))),
        ...(refunds.length > shown.length && {
          moreRefunds: `/payments/${encodeURIComponent(orderId)}?refundsAfter=${encodeURIComponent(refundIdOf(shown.at(-1)!))}`,
        }),
      }
    },
  )
}

/** Whether it should have been settled by now. */
function isOverdue({ state, createdAt }: Payment): boolean {
  return (state === 'pending' || state === 'unknown') && Date.now() - createdAt.getTime() >= unsettledFor
}

function noSuchPayment(orderId: string): ProblemError {
  return new ProblemError(404, 'No such payment', { code: 'NO_SUCH_PAYMENT', orderId })
}

/** A database that does not answer leaves open what has begun. */
function refuse(names: Names): (error: unknown) => never {
  return (error) => {
    if (error instanceof NotNow) throw unavailable(error.message)
    if (!(error instanceof NotKnown) && !isAway(error)) throw error
    const again = 'whether it has begun is not known: send it again under the same id, or GET'
    throw unknown(names, `${messageOf(error)}; ${again} /payments/${names.orderId}`)
  }
}

function refuseUnread(error: unknown): never {
  throw isAway(error) ? unavailable('the database cannot be read now') : error
}

function view(payment: ToldPayment): Omit<PaymentView, 'orderId' | 'method' | 'refunds' | 'moreRefunds'> {
  return {
    amount: payment.amount,
    status: payment.state,
    ...(payment.approvalId !== null && { approvalId: payment.approvalId }),
    ...(payment.reason !== null && { reason: payment.reason }),
    createdAt: payment.createdAt.toISOString(),
    ...(payment.settledAt !== null && { settledAt: payment.settledAt.toISOString() }),
    history: payment.history.map(({ at, event, details }) =>
      Object.assign({ at: new Date(at).toISOString(), event }, details),
    ),
  }
}
