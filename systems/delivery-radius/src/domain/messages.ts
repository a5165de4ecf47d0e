/**
 * The message of S2's document (docs/systems.md): `key` chooses the partition, so that the changes of a shop are applied in their order; `type`
 * chooses who handles it.
 */
import { defineOperation, type Operation, type TopicSpec } from '@milena/request-reply'
import { z } from 'zod'
import { kinds } from './radius.ts'

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
  /** Java's `LocalDateTime`, which the document has, says no zone. */
  requestedAt: z.iso.datetime({ local: true }),
})
export type ChangeRequest = z.infer<typeof changeSchema>

export const changedSchema = z.object({ shop: z.string(), radius: z.number(), changes: z.number() })
export type Changed = z.infer<typeof changedSchema>

export type ChangeRadius = Operation<ChangeRequest, ChangeRequest, Changed, Changed>

/** Names on the brokers. `prefix` keeps several runs on one cluster apart. */
export interface Names {
  readonly topic: string
  readonly replyTopic: string
  readonly workerGroup: string
}

export function namesOf(prefix: string): Names {
  return {
    topic: `${prefix}delivery-radius`,
    replyTopic: `${prefix}delivery-radius-reply`,
    workerGroup: `${prefix}delivery-radius-worker`,
  }
}

export function topicsOf(prefix: string): readonly TopicSpec[] {
  const { topic, replyTopic } = namesOf(prefix)
  return [topic, replyTopic].map((name) => ({ name, partitions }))
}

export function defineChangeRadius(prefix: string): ChangeRadius {
  return defineOperation({
    name: 'delivery-radius.change',
    topic: namesOf(prefix).topic,
    request: changeSchema,
    reply: changedSchema,
    key: (change) => change.key,
    timeout: 60_000,
  })
}
