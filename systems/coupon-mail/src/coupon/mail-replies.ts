/** Reads what comes back for the gifts' mails, in whichever process of this service, and commits what is written down. */
import {
  createReplier,
  deadLetter,
  exponential,
  retry,
  type HandlerContext,
  type KafkaOptions,
  type Replier,
} from '@milena/request-reply'
import { readResult, type Messages } from '../messages.ts'
import type { Gifts, MailReply } from './gifts.ts'

export interface MailRepliesOptions {
  readonly kafka: KafkaOptions
  readonly messages: Messages
  /** Names this process in its group. */
  readonly instanceId: string
  readonly gifts: Gifts
}

export function createMailReplies({ kafka, messages, instanceId, gifts }: MailRepliesOptions): Replier {
  const replier = createReplier({
    kafka,
    groupId: messages.couponGroup,
    groupInstanceId: instanceId,
    sessionTimeout: 6_000,
    heartbeatInterval: 500,
    createTopics: true,
  })
  // The database may be away for an hour; what it still refuses then stands in the reply topic's dead letters.
  const useRecords = [
    deadLetter(),
    retry({ attempts: 2_000, backoff: exponential({ first: 100, most: 2_000 }) }),
  ] as const
  const settle = async (value: Buffer, context: HandlerContext): Promise<void> => {
    const reply = toMailReply(value, context)
    if (reply !== undefined) await gifts.settle(reply)
  }
  for (const result of messages.results) replier.handle(result, settle, { useRecords })
  return replier
}

function toMailReply(
  value: Buffer,
  { correlationId, headers, position }: HandlerContext,
): MailReply | undefined {
  if (correlationId === undefined) return undefined
  const code = headers.text('milena-error-code')
  const result = code === undefined ? readResult(value) : undefined
  const error =
    code === undefined
      ? 'the reply is neither 0 nor 1'
      : `${code}: ${headers.text('milena-error-message') ?? ''}`
  return {
    correlationId,
    result,
    trouble: result === undefined ? error : undefined,
    topic: position.topic,
    headers: readable(headers),
  }
}

/** Those that are text of the application's own. */
export function readable(headers: HandlerContext['headers']): Record<string, string> {
  const own = [...headers].filter(
    ([name, value]) => value !== null && !/^(kafka|spring|milena)[_-]/.test(name),
  )
  return Object.fromEntries(own.map(([name, value]) => [name, value!.toString()]))
}
