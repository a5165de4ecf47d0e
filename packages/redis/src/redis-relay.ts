/**
 * `redisRelay`: replies come through Redis, as `relayReplies` puts them there; Kafka's record is the durable truth, and is
 * not read here.
 *
 *     replier ──▶ Kafka topic          (kept; nobody reads it for the reply)
 *        └──────▶ Redis  SET kafka:reply:<correlationId>, PUBLISH in the channel of that name
 *                   └──▶ the requester: told at once (`subscribe`), or by asking once a second (`poll`)
 *
 * Correlation ids begin with four bytes of the instance's and the topic's own, so that one subscription covers its replies and no others.
 *
 * Guaranteed: while Redis cannot be reached no request is sent (`health()` says so), and when it is back everything that is
 * pending is asked for once. Not guaranteed: a reply that was relayed while Redis was away, or lost its memory, reaches
 * nobody: its request times out, unknown, though Kafka has the reply. The other routings do not lose it.
 */
import { createHash } from 'node:crypto'
import {
  OptionsError,
  requireTopic,
  TransportError,
  type OpenReplyRouting,
  type ReplyRouting,
  type RoutingContext,
} from '@milena/request-reply'
import { problemOfSource, type RedisSource } from './connection.ts'
import { kindOf, unknownOptions } from './given.ts'
import { RelayReading } from './relay-reading.ts'
import { defaultPrefix } from './relay-replies.ts'

export interface RedisRelayOptions extends RedisSource {
  /** The reply topic, where the durable replies go. */
  readonly topic: string
  /** How many partitions the topic gets when `createTopics` makes it; default 6. */
  readonly partitions?: number | undefined
  /**
   * How this instance learns of its replies: `subscribe`, by Redis's pub/sub; `poll`, by asking for each pending request
   * every `pollInterval`, which makes a reply later by half of that on average. Default `subscribe`.
   */
  readonly notify?: 'subscribe' | 'poll' | undefined
  /** Milliseconds between two rounds of asking; default 1 000. */
  readonly pollInterval?: number | undefined
  /** As `relayReplies` has it; default `kafka:reply:`. */
  readonly prefix?: string | undefined
}

/** Milliseconds that the first connection to Redis may take. */
const openBound = 5_000

const known: readonly (keyof RedisRelayOptions)[] = [
  'url',
  'client',
  'topic',
  'partitions',
  'notify',
  'pollInterval',
  'prefix',
]

/** @throws OptionsError `MILENA_OPTIONS_INVALID` */
export function redisRelay(options: RedisRelayOptions): ReplyRouting {
  const problems = unknownOptions('redisRelay', options, known)
  const {
    topic,
    partitions = 6,
    notify = 'subscribe',
    pollInterval = 1_000,
    prefix = defaultPrefix,
  } = options
  const problem = problemOfSource(options)
  if (problem !== undefined) problems.push(problem)
  if (typeof topic !== 'string' || topic === '') problems.push('topic must be a name')
  if (!Number.isSafeInteger(partitions) || partitions < 1)
    problems.push(`partitions must be a whole number from 1, not ${kindOf(partitions)}`)
  if (notify !== 'subscribe' && notify !== 'poll')
    problems.push(
      `notify must be 'subscribe' or 'poll', not ${typeof notify === 'string' ? JSON.stringify(notify) : kindOf(notify)}`,
    )
  if (typeof prefix !== 'string') problems.push('prefix must be a text')
  if (!Number.isSafeInteger(pollInterval) || pollInterval < 1)
    problems.push(`pollInterval must be a whole number from 1, not ${kindOf(pollInterval)}`)
  if (problems.length > 0) throw new OptionsError('redisRelay', problems)
  return {
    name: notify === 'subscribe' ? 'redisRelay' : 'redisRelay, polling',
    topicOf: () => topic,
    open: (context) => open({ ...options, topic, partitions, notify, pollInterval, prefix }, context),
  }
}

async function open(
  options: RedisRelayOptions & {
    readonly partitions: number
    readonly pollInterval: number
    readonly prefix: string
  },
  context: RoutingContext,
): Promise<OpenReplyRouting> {
  const { topic, partitions, prefix, notify, pollInterval } = options
  if (context.resumeFrom !== undefined)
    throw new OptionsError('redisRelay', ['it reads no log, so it cannot resume (resumeFrom)'])
  await requireTopic(context.transport, { name: topic, partitions }, context.createTopics)
  // The topic's too: of two relays in one requester each is told of its own replies.
  const ofWhom = `${context.instanceId} ${topic}`
  const correlationPrefix = createHash('sha256').update(ofWhom).digest().subarray(0, 4)
  const reading = new RelayReading({
    source: options,
    topic,
    prefix,
    correlationPrefix,
    context,
    notify,
    pollInterval,
  })
  try {
    await reading.open(openBound)
  } catch (cause) {
    reading.close()
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new TransportError('MILENA_BROKER_UNREACHABLE', `redisRelay: Redis does not answer: ${why}`, {
      cause,
    })
  }
  const address = { topic }
  return {
    correlationPrefix,
    // The key has the last one, and whoever was away asks for that.
    oneReplyEach: true,
    address: () => address,
    troubles: () => reading.troubles,
    caughtUp: () => reading.askOnce(),
    close: () => Promise.resolve(reading.close()),
  }
}
