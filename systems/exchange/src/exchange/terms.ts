/** What is exchanged, and at which rate: fixed when the exchange begins. */
import { z } from 'zod'
import { directions, foreignCurrencies } from '../operations.ts'

export const termsSchema = z.object({
  direction: z.enum(directions),
  customerId: z.string(),
  currency: z.enum(foreignCurrencies),
  amount: z.int().positive(),
  krwAmount: z.int().positive(),
  rate: z.int().positive(),
})
export type Terms = z.infer<typeof termsSchema>
