/** What goes over HTTP, as it stands in `/openapi.json`. */
import { textSchema } from '@milena/hosting'
import { z } from 'zod'
import { kinds } from '../domain/radius.ts'

const shopSchema = textSchema.min(1).max(100)
const numberSchema = z.int().min(1).max(10_000_000)

export const kindSchema = z.enum(kinds)
export const actionSchema = z.enum(['begin', 'end'])

export const triggerRequestSchema = z.strictObject({
  kind: kindSchema,
  action: actionSchema,
  shops: z
    .union([
      z
        .array(shopSchema)
        .min(1)
        .max(5_000)
        .refine((shops) => new Set(shops).size === shops.length, 'names a shop twice'),
      z
        .strictObject({ from: numberSchema, to: numberSchema })
        .refine(({ from, to }) => from <= to, 'from must not be greater than to'),
    ])
    .describe('their ids, or the numbers of the first and the last: shop-<from> to shop-<to>'),
  timeout: z
    .int()
    .min(100)
    .max(600_000)
    .default(60_000)
    .describe('milliseconds that each change waits for its reply'),
})
export type TriggerRequest = z.infer<typeof triggerRequestSchema>

export const acceptedSchema = z.object({
  id: z.string(),
  total: z.number().describe('shops that it is for'),
  links: z.object({ self: z.string(), events: z.string() }),
})

export const triggerStates = ['running', 'finished', 'interrupted'] as const

export const progressSchema = z.object({
  id: z.string(),
  requester: z
    .string()
    .describe('the one that it was begun at; another one knows how far it was a second ago'),
  kind: kindSchema,
  action: actionSchema,
  total: z.number(),
  done: z.number(),
  failed: z
    .number()
    .describe('certainly not made; GET /changes?status=failed lists those that are not made yet'),
  unknown: z.number().describe('made or not: no reply in time, or none that tells; a late one moves it'),
  state: z
    .enum(triggerStates)
    .describe(
      'interrupted: its requester has ended before; of changes that have no outcome here nobody knows whether they ' +
        'were or will be made. Begin it again: shops that have it already refuse it',
    ),
  finished: z.boolean().describe('whether every change has its outcome'),
  rate: z.number().describe('outcomes a second'),
  p50: z.number().describe('milliseconds from request to reply, of those that have one'),
  p99: z.number(),
})
export type Progress = z.infer<typeof progressSchema>

export const statuses = ['failed', 'unknown', 'done'] as const

export const changeSchema = z.object({
  id: z.string(),
  trigger: z.string(),
  shop: z.string(),
  kind: kindSchema,
  action: actionSchema,
  status: z.enum(statuses).describe('done: after all, by another try or a late reply'),
  code: z.string().nullable().describe('why it failed, or is unknown; null of one that is done'),
  message: z.string().nullable(),
  requestedAt: z.iso.datetime().describe('when it was asked for last'),
})
export type Change = z.infer<typeof changeSchema>

export const changesQuery = z.strictObject({
  status: z.enum(statuses).default('failed'),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
  after: textSchema.optional().describe("a change's id: those that were stored after it"),
})
export type ChangesQuery = z.infer<typeof changesQuery>

export const changesSchema = z.object({
  changes: z.array(changeSchema),
  next: z.string().optional().describe('`after` of the next page; without it, this is the last'),
})
