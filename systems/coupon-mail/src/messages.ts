/** What goes over Kafka between the coupon service and the mail worker. Topics and group are those of S4's document (docs/systems.md). */
import { bytes, defineOperation, json, type KafkaOptions, type Operation } from '@milena/request-reply'
import { z } from 'zod'

export const mailSchema = z.object({
  /** Names the mail: the same one again is not sent again. Its Message-ID is made from it. */
  mailId: z.string().regex(/^[A-Za-z0-9-]{1,100}$/),
  recipient: z.string().max(254),
  subject: z.string().max(200),
  text: z.string().max(10_000),
})
export type Mail = z.infer<typeof mailSchema>

/** What the Mail API answers, and the reply: 0 the mail is sent, 1 it has failed. */
export const resultSchema = z.union([z.literal(0), z.literal(1)])
export type Result = z.infer<typeof resultSchema>

/** Headers of a request: from which campaign it comes, which is copied to the reply, and of which coupon, which is not. */
export const campaignHeader = 'campaign'
export const couponHeader = 'coupon'
/** A header that the worker adds to its replies: which worker. */
export const workerHeader = 'mail-worker'

export interface Messages {
  readonly sendMail: Operation<Mail, Mail, Result, Result>
  readonly workerGroup: string
  /** Where mails' results come back: those that partners have asked for on a topic of their own. */
  readonly replyTopics: { readonly own: string; readonly partner: string }
  /** The coupon service's reading of each of them. */
  readonly results: readonly Operation<Uint8Array, Buffer, void, void>[]
  readonly couponGroup: string
}

/** `prefix` keeps several runs on one cluster apart. */
export function defineMessages(prefix: string): Messages {
  const replyTopics = {
    own: `${prefix}SEND_MAIL_REPLY`,
    partner: `${prefix}SEND_MAIL_REPLY_PARTNER`,
  }
  return {
    sendMail: defineOperation({
      name: 'mail.send',
      topic: `${prefix}SEND_MAIL`,
      request: mailSchema,
      reply: resultSchema,
      key: ({ mailId }) => mailId,
      idempotencyKey: ({ mailId }) => mailId,
    }),
    workerGroup: `${prefix}SEND_MAIL_GROUP`,
    replyTopics,
    results: Object.values(replyTopics).map((topic) =>
      defineOperation({ name: 'mail.result', topic, request: bytes() }),
    ),
    couponGroup: `${prefix}REPLY_CONSUME_GROUP`,
  }
}

/** A reply's value; `undefined` when it is none. */
export function readResult(value: Buffer): Result | undefined {
  try {
    return resultSchema.parse(json().decode(value))
  } catch {
    return undefined
  }
}

/** The document's producer: lz4, 50 ms, 16 KiB. */
export function kafkaOf(brokers: string, clientId: string): KafkaOptions {
  return { brokers: brokers.split(','), clientId, compression: 'lz4', linger: 50, batchSize: 16_384 }
}
