/** What goes over HTTP, as it stands in `/openapi.json`. */
import { z } from 'zod'
import { idSchema, problemSchema } from '@milena/hosting'
import { methodSchema } from '../operations.ts'

// `int` last: what comes after it is not looked at when it fails, and every problem is to be told.
const amountSchema = z
  .number()
  .positive()
  .max(1_000_000_000_000)
  .int()
  .describe("in the currency's smallest unit, such as cents")

export const orderSchema = z.strictObject({ orderId: idSchema, amount: amountSchema, method: methodSchema })
export const orderParams = z.object({ orderId: idSchema })
export const refundsQuery = z.object({
  refundsAfter: idSchema.optional().describe('shows the refunds that come after the one with this id'),
})
export const refundSchema = z.strictObject({
  amount: amountSchema.optional().describe('default: all that is left'),
  refundId: idSchema
    .optional()
    .describe(
      'your name for this refund, under which it is made once: the same again gives the first outcome. It, or an Idempotency-Key header, is needed: without a name a refund that is sent again would be another one',
    ),
})
export const refundHeaders = z.looseObject({ 'idempotency-key': idSchema.optional() })

export const approvedSchema = z.object({
  orderId: z.string(),
  refundId: z.string().optional(),
  amount: z.number().optional(),
  status: z.literal('approved'),
  approvalId: z.string(),
})
/** A problem that tells how a payment stands. */
function paymentProblem<Status extends string>(status: readonly Status[], description: string) {
  return problemSchema
    .extend({
      orderId: z.string(),
      refundId: z.string().optional(),
      /** Of a refund. */
      amount: z.number().optional(),
      paymentStatus: z.enum(status),
    })
    .describe(description)
}
export const declinedSchema = paymentProblem(['declined'], 'declined by the provider; why is in detail')
export const failedSchema = paymentProblem(
  ['failed', 'unknown', 'mismatched'],
  "failed (nothing was moved, nor will be under this id), or a worker's error (unknown: it is being found out), or an answer about another payment",
)
export const unknownSchema = paymentProblem(
  ['unknown'],
  'no outcome in time, or the database does not answer: it is being found out; never send the payment again under another id: ask for it, or send it again under the same one',
)

const statusSchema = z.enum(['pending', 'unknown', 'approved', 'declined', 'failed', 'mismatched'])
const stateSchema = z.object({
  amount: z.number(),
  status: statusSchema,
  approvalId: z.string().optional(),
  reason: z.string().optional(),
  createdAt: z.string(),
  settledAt: z.string().optional(),
  history: z.array(z.looseObject({ at: z.string(), event: z.string() })),
})
export const paymentSchema = stateSchema.extend({
  orderId: z.string(),
  method: methodSchema,
  refunds: z
    .array(stateSchema.extend({ refundId: z.string() }))
    .describe('the first, or the next, in their order'),
  moreRefunds: z.string().optional().describe('the path of the next refunds, where there are more'),
})
export const deadLettersSchema = z.array(
  z.object({
    kind: z.enum(['charge', 'refund']),
    orderId: z.string(),
    refundId: z.string().optional(),
    amount: z.number(),
    reason: z.string(),
    at: z.string(),
    resolvedAt: z.string().optional(),
    resolution: statusSchema.optional(),
  }),
)
export type PaymentView = z.infer<typeof paymentSchema>
