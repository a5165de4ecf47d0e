/** What goes over HTTP, as it stands in each `/openapi.json`. */
import { idSchema, problemSchema } from '@milena/hosting'
import { z } from 'zod'
import { directions, foreignCurrencies } from './operations.ts'

/** Of a movement, in either currency. */
export const mostAmount = 1_000_000_000
// `int` last: what comes after it is not looked at when it fails, and every problem is to be told.
export const amountSchema = z
  .number()
  .positive()
  .max(mostAmount)
  .int()
  .describe("in the currency's smallest unit, such as cents")

export const exchangeRequestSchema = z.strictObject({
  exchangeId: idSchema
    .optional()
    .describe('your name for it: the same again gives the first outcome, and exchanges nothing'),
  direction: z.enum(directions).describe('BUY: foreign currency is bought for KRW; SELL: the reverse'),
  customerId: idSchema,
  currency: z.enum(foreignCurrencies),
  amount: amountSchema.describe('of the foreign currency, in its smallest unit'),
})
export type ExchangeRequest = z.infer<typeof exchangeRequestSchema>

export const exchangeStatuses = ['RUNNING', 'COMPLETED', 'COMPENSATING', 'CANCELLED'] as const
export type ExchangeStatus = (typeof exchangeStatuses)[number]

export const exchangeSchema = z.object({
  exchangeId: z.string(),
  direction: z.enum(directions),
  customerId: z.string(),
  currency: z.enum(foreignCurrencies),
  amount: z.number(),
  krwAmount: z.number().describe('what the amount is worth at the rate, in KRW'),
  rate: z.number().describe('KRW for 10 000 units of the currency, such as dollars, fixed for this exchange'),
  status: z
    .enum(exchangeStatuses)
    .describe(
      'COMPENSATING: it will not take place, and what was withdrawn is being given back. CANCELLED: nothing is moved (any more)',
    ),
  reason: z.string().optional().describe('why it does not take place'),
})
export type Exchange = z.infer<typeof exchangeSchema>

export const undecidedSchema = problemSchema
  .extend({ exchangeId: z.string() })
  .describe(
    'NOT_DECIDED: not decided in time, or not known: ask for it, or send it again with this exchangeId',
  )

const { status, ...termsOfExchange } = exchangeSchema.shape
export const notExchangedSchema = problemSchema
  .extend({ ...termsOfExchange, exchangeStatus: status })
  .describe('it does not take place; what was moved is moved back')
