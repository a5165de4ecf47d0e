/** What a caller is told of a payment: status code and body. */
import type { FastifyReply } from 'fastify'
import { ProblemError, sendProblem } from '@milena/hosting'
import type { Answered } from './gateway.ts'
import { refundIdOf } from './payment.ts'

/** What a payment is called over HTTP; a refund's amount, where it is known. */
export interface Names {
  readonly orderId: string
  readonly refundId?: string | undefined
  readonly amount?: number | undefined
}

export function answer(
  reply: FastifyReply,
  { payment, providerMs, workerError, mismatch }: Answered,
): FastifyReply {
  const { kind, orderId, amount, state } = payment
  const names = kind === 'charge' ? { orderId } : { orderId, refundId: refundIdOf(payment), amount }
  if (providerMs !== undefined) void reply.header('server-timing', `provider;dur=${providerMs}`)
  if (state === 'approved')
    return reply.code(200).send({ ...names, status: 'approved', approvalId: payment.approvalId! })
  if (state === 'declined') {
    const reason = payment.reason!
    return sendProblem(reply, {
      status: 402,
      title: 'Declined by the provider',
      code: 'PAYMENT_DECLINED',
      ...names,
      paymentStatus: state,
      detail: reason,
    })
  }
  if (state === 'mismatched' || mismatch !== undefined) {
    throw new ProblemError(502, 'What was answered is not about this payment', {
      ...names,
      detail: payment.reason ?? mismatch,
      code: state === 'mismatched' ? 'PAYMENT_MISMATCHED' : 'REPLY_MISMATCHED',
      // Unknown, until the provider has said how it stands.
      paymentStatus: state,
    })
  }
  if (state === 'failed') {
    const [done, again] = kind === 'charge' ? ['charged', 'orderId'] : ['refunded', 'refundId']
    throw new ProblemError(502, `Failed: nothing was ${done}, nor will be`, {
      ...names,
      detail: `${payment.reason}; to try again, use another ${again}`,
      code: 'PAYMENT_FAILED',
      paymentStatus: state,
    })
  }
  if (workerError !== undefined) {
    throw new ProblemError(502, 'The worker could not carry out the payment', {
      ...names,
      detail: workerError?.remoteMessage,
      code: workerError?.remoteCode,
      // Unknown: the worker's error does not tell, and it is being found out.
      paymentStatus: state,
    })
  }
  throw unknown(names, `the outcome is not known yet; it is being found out: GET /payments/${orderId}`)
}

export function unknown(names: Names, detail: string): ProblemError {
  return new ProblemError(504, 'No outcome in time', {
    code: 'PAYMENT_UNKNOWN',
    ...names,
    paymentStatus: 'unknown',
    detail,
  })
}
