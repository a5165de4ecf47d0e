/**
 * `sharedReplyTopic`: every instance reads all partitions of one reply topic and passes over what is not its own.
 * For repliers that cannot set a partition; each instance reads every instance's replies.
 */
import { problemOfTopic } from '../contract/operation.ts'
import { OptionsError } from '../errors.ts'
import { requireTopic } from '../transport/topics.ts'
import type { OpenReplyRouting, ReplyRouting, RoutingContext } from './routing.ts'

export interface SharedReplyTopicOptions {
  /** The reply topic. */
  readonly topic: string
  /** How many partitions the topic gets when `createTopics` makes it; default 6. */
  readonly partitions?: number
}

/** @throws OptionsError `MILENA_OPTIONS_INVALID` */
export function sharedReplyTopic(options: SharedReplyTopicOptions): ReplyRouting {
  const { topic, partitions = 6 } = options
  const problems: string[] = []
  const topicProblem = problemOfTopic(topic)
  if (topicProblem !== undefined) problems.push(`topic ${topicProblem}`)
  if (!Number.isSafeInteger(partitions) || partitions < 1) {
    problems.push(`partitions must be a whole number of at least 1, not ${partitions}`)
  }
  if (problems.length > 0) throw new OptionsError('sharedReplyTopic', problems)
  return { name: 'sharedReplyTopic', open: (context) => open(topic, partitions, context) }
}

async function open(topic: string, partitions: number, context: RoutingContext): Promise<OpenReplyRouting> {
  await requireTopic(context.transport, { name: topic, partitions }, context.createTopics)
  const tail = await context.transport.tail({
    topic,
    partitions: 'all',
    from: 'latest',
    onRecords: (records) => context.receive(records),
    onError: (error) => context.warn(error),
  })
  const address = { topic }
  return { address: () => address, close: () => tail.close() }
}
