/** What goes over HTTP, as it stands in `/openapi.json`. */
import { problemSchema, textSchema } from '@milena/hosting'
import { z } from 'zod'
import { resultSchema } from '../messages.ts'

export const idSchema = z.string().regex(/^[A-Za-z0-9-]{1,100}$/, 'must be 1 to 100 letters, digits or -')

export const giftRequestSchema = z.strictObject({
  giftId: idSchema
    .optional()
    .describe('your name for it: the same again gives the first gift, and sends nothing'),
  recipient: z.email().max(254).describe('the address of whom it is for'),
  message: textSchema.max(5_000).default('').describe('what the giver has to say'),
  campaign: z
    .string()
    .regex(/^[\x20-\x7E]{1,100}$/, 'must be 1 to 100 ASCII characters')
    .optional(),
  partner: z
    .boolean()
    .default(false)
    .describe("whether a partner gives it: its result comes on partners' reply topic"),
})
export type GiftRequest = z.infer<typeof giftRequestSchema>

export const giftStates = ['stored', 'requested', 'unknown', 'sent', 'failed'] as const
export type GiftState = (typeof giftStates)[number]

export const giftSchema = z.object({
  giftId: z.string(),
  couponId: z.string(),
  recipient: z.string(),
  message: z.string(),
  campaign: z.string().optional(),
  partner: z.boolean(),
  state: z
    .enum(giftStates)
    .describe(
      'stored: with the command to send its mail. requested: that command is with the brokers. ' +
        'unknown: the worker has given up, and the mail may be sent or not. sent, failed: the end',
    ),
  trouble: z.string().optional().describe('why it is unknown'),
  reply: z
    .object({ topic: z.string(), headers: z.record(z.string(), z.string()) })
    .optional()
    .describe('where the result came, and the headers that it had'),
  storedAt: z.string(),
  endedAt: z.string().optional(),
  links: z.object({ self: z.string(), events: z.string() }),
})
export type Gift = z.infer<typeof giftSchema>

export const unknownGiftSchema = problemSchema
  .extend({ giftId: z.string() })
  .describe('GIFT_UNKNOWN: it may be stored or not: ask for it, or send it again with this giftId')

export const giftPageSchema = z.object({
  gifts: z.array(giftSchema),
  next: z.string().optional().describe('the address of the next page, where there is one'),
})
export type GiftPage = z.infer<typeof giftPageSchema>

export const previewRequestSchema = z.strictObject({
  recipient: z.email().max(254),
  partner: z.boolean().default(false),
})
export const previewSchema = z.object({
  result: resultSchema.describe('0: sent, 1: failed'),
  reply: z.object({ topic: z.string(), headers: z.record(z.string(), z.string()) }),
})
