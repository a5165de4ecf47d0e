/**
 * `sharedReplyTopic`: every instance reads all partitions of one reply topic and passes over what is not its own.
 * For repliers that cannot set a partition; each instance reads every instance's replies.
 *
 * Guaranteed: every reply that reaches the topic while it stands, in partitions that are added later too, and after a
 * restart from where the predecessor stood, as far as the topic still has it: the address is the same for all. Not
 * guaranteed: replies that stood in a topic that was deleted. A trouble of one partition is one of the whole address,
 * since any reply may go there. Without a lease, two instances under one instance id are not noticed.
 */
import { problemOfTopic } from '../contract/operation.ts'
import { OptionsError } from '../errors.ts'
import { unknownOptions } from '../given.ts'
import { requireTopic } from '../transport/topics.ts'
import { said } from '../words.ts'
import { ReplyTopic } from './reply-topic.ts'
import { startOf } from './resume.ts'
import type { OpenReplyRouting, ReplyRouting, RoutingContext } from './routing.ts'

export interface SharedReplyTopicOptions {
  /** The reply topic. */
  readonly topic: string
  /** How many partitions the topic gets when `createTopics` makes it; default 6. */
  readonly partitions?: number
}

const known: ReadonlySet<string> = new Set<keyof SharedReplyTopicOptions>(['topic', 'partitions'])

/** @throws OptionsError `MILENA_OPTIONS_INVALID` */
export function sharedReplyTopic(options: SharedReplyTopicOptions): ReplyRouting {
  const problems = unknownOptions('sharedReplyTopic', options, known)
  const { topic, partitions = 6 } = options
  const topicProblem = problemOfTopic(topic)
  if (topicProblem !== undefined) problems.push(`topic ${topicProblem}`)
  if (!Number.isSafeInteger(partitions) || partitions < 1) {
    problems.push(`partitions must be a whole number of at least 1, not ${said(partitions)}`)
  }
  if (problems.length > 0) throw new OptionsError('sharedReplyTopic', problems)
  return {
    name: 'sharedReplyTopic',
    topicOf: () => topic,
    open: (context) => open(topic, partitions, context),
  }
}

async function open(topic: string, wanted: number, context: RoutingContext): Promise<OpenReplyRouting> {
  const { transport, createTopics, resumeFrom } = context
  const { partitions } = await requireTopic(transport, { name: topic, partitions: wanted }, createTopics)
  const all = Array.from({ length: partitions }, (_, partition) => partition)
  const replies = await ReplyTopic.open(context, {
    spec: { name: topic, partitions },
    partitions: 'all',
    from: startOf('sharedReplyTopic', resumeFrom, topic, all),
    makeAgain: createTopics,
  })
  const address = { topic }
  return {
    address: () => address,
    troubles: () => replies.troubles(),
    positions: () => replies.positions(),
    caughtUp: () => replies.caughtUp(),
    close: () => replies.close(),
  }
}
