/**
 * The document's message: `key` chooses the partition, so that the changes of a shop are applied in their order; `type`
 * chooses who handles it.
 */
import { defineOperation } from '@milena/request-reply'
import { z } from 'zod'
import { kinds } from './radius.ts'

export const topic = 'delivery-radius'
export const replyTopic = 'delivery-radius-reply'
export const workerGroup = 'delivery-radius-worker'
export const partitions = 12

export const changeSchema = z.object({
  /** The change's own, also when it is tried again. */
  id: z.string(),
  /** What is changed, in words for people. */
  target: z.string(),
  /** The shop. */
  key: z.string(),
  type: z.literal('delivery-radius.change'),
  data: z.object({ kind: z.enum(kinds), action: z.enum(['begin', 'end']) }),
  requestedAt: z.iso.datetime(),
})
export type ChangeRequest = z.infer<typeof changeSchema>

export const changedSchema = z.object({ shop: z.string(), radius: z.number(), changes: z.number() })
export type Changed = z.infer<typeof changedSchema>

export const changeRadius = defineOperation({
  name: 'delivery-radius.change',
  topic,
  request: changeSchema,
  reply: changedSchema,
  key: (change) => change.key,
  timeout: 60_000,
})
