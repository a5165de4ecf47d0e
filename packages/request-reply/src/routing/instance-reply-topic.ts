/**
 * `instanceReplyTopic`: a reply topic of its own for each instance, created when it starts and removed when it closes.
 * For strict isolation, or a right for each instance. What a killed instance leaves behind is swept by the living ones.
 *
 * Guaranteed: every reply that reaches the topic while it stands. An instance id that another living instance has is
 * refused at the start (`living-owner.ts`). An instance that is started under the same instance
 * id after a kill finds its topic as it was, and reads it from where the predecessor stood; it has `sweepAfter` for
 * that. A topic that is removed under its living owner is made again, also without `createTopics`. Not guaranteed:
 * replies that stood in a topic that was removed; `close` removes it, so nothing can be resumed after that.
 */
import { problemOfTopic } from '../contract/operation.ts'
import { OptionsError } from '../errors.ts'
import { unknownOptions } from '../given.ts'
import type { TopicSpec } from '../transport/transport.ts'
import { errorOf, said } from '../words.ts'
import { Housekeeping, isClosed, LeaseTable, renewalInterval } from './leases.ts'
import { answering, refuseLivingOwner } from './living-owner.ts'
import { OwnLease } from './own-lease.ts'
import { ReplyTopic } from './reply-topic.ts'
import { startOf } from './resume.ts'
import type { OpenReplyRouting, ReplyRouting, RoutingContext } from './routing.ts'
import { TopicSweeper } from './topic-sweeper.ts'

export interface InstanceReplyTopicOptions {
  /** The topic's name is this and the instance id, such as `payment_response_` and `gw-1`. */
  readonly prefix: string
  /** Default 1. */
  readonly partitions?: number
  /** Default: the broker's. */
  readonly replicationFactor?: number
  /** Topic configuration by its Kafka name; default `retention.ms` of one hour. */
  readonly configs?: Readonly<Record<string, string>>
  /**
   * Milliseconds for which an owner must have been seen to give no sign of life before its topic is removed; default
   * 600 000, at least 60 000. An owner gives one every 10 seconds.
   */
  readonly sweepAfter?: number
}

const known: ReadonlySet<string> = new Set<keyof InstanceReplyTopicOptions>([
  'prefix',
  'partitions',
  'replicationFactor',
  'configs',
  'sweepAfter',
])

/** @throws OptionsError `MILENA_OPTIONS_INVALID` */
export function instanceReplyTopic(options: InstanceReplyTopicOptions): ReplyRouting {
  const problems = unknownOptions('instanceReplyTopic', options, known)
  const { prefix, partitions = 1, sweepAfter = 600_000 } = options
  const prefixProblem = problemOfTopic(prefix)
  if (prefixProblem !== undefined) problems.push(`prefix ${prefixProblem}`)
  if (!Number.isSafeInteger(partitions) || partitions < 1) {
    problems.push(`partitions must be a whole number of at least 1, not ${said(partitions)}`)
  }
  if (!(typeof sweepAfter === 'number' && sweepAfter >= 6 * renewalInterval)) {
    problems.push(`sweepAfter must be at least ${6 * renewalInterval} ms, not ${said(sweepAfter)}`)
  }
  const { replicationFactor, configs } = options
  if (replicationFactor !== undefined && !(Number.isSafeInteger(replicationFactor) && replicationFactor >= 1))
    problems.push(`replicationFactor must be a whole number of at least 1, not ${said(replicationFactor)}`)
  if (configs !== undefined && !isTexts(configs))
    problems.push("configs must be an object of texts, such as { 'retention.ms': '3600000' }")
  if (problems.length > 0) throw new OptionsError('instanceReplyTopic', problems)
  return {
    name: 'instanceReplyTopic',
    topicOf: (instanceId) => prefix + instanceId,
    open: (context) => open(options, sweepAfter, context),
  }
}

function isTexts(configs: unknown): boolean {
  if (typeof configs !== 'object' || configs === null) return false
  return Object.values(configs).every((value) => typeof value === 'string')
}

async function open(
  options: InstanceReplyTopicOptions,
  sweepAfter: number,
  context: RoutingContext,
): Promise<OpenReplyRouting> {
  const { transport, instanceId, clock } = context
  const spec: TopicSpec = {
    name: options.prefix + instanceId,
    partitions: options.partitions ?? 1,
    replicationFactor: options.replicationFactor,
    configs: options.configs ?? { 'retention.ms': '3600000' },
  }
  const topic = spec.name
  const nameProblem = problemOfTopic(topic)
  if (nameProblem !== undefined) {
    throw new OptionsError('instanceReplyTopic', [`the topic of prefix and instance id ${nameProblem}`])
  }
  const warn = (thrown: unknown): void => {
    if (!isClosed(thrown)) context.warn(errorOf(thrown))
  }
  const before = (await transport.describeTopics([topic])).get(topic)
  const partitions = before?.partitions ?? spec.partitions
  // First of all, so that positions that cannot be ours make no topic.
  const all = Array.from({ length: partitions }, (_, partition) => partition)
  const from = startOf('instanceReplyTopic', context.resumeFrom, topic, all)
  const leases = new LeaseTable(transport, options.prefix)
  const place = { topic, partition: 0 }
  if (before === undefined) await transport.createTopics([spec])
  else await refuseLivingOwner(leases, place, context)
  const lease = new OwnLease(leases, place, context)
  await lease.renew().catch(warn)
  const replies = await ReplyTopic.open(answering(context, lease), {
    spec,
    partitions: 'all',
    from,
    makeAgain: true,
  }).catch(async (error: unknown) => {
    // What stood there before may be needed yet.
    if (before === undefined) await transport.deleteTopics([topic]).catch(warn)
    throw error
  })
  const renewal = new Housekeeping(clock, renewalInterval, () => lease.renew(), warn)
  const sweeper = new TopicSweeper({
    transport,
    leases,
    clock,
    prefix: options.prefix,
    own: topic,
    sweepAfter,
  })
  const sweeping = new Housekeeping(clock, renewalInterval, () => sweeper.sweep(), warn)
  const address = { topic }
  return {
    address: () => address,
    troubles: () => replies.troubles(),
    positions: () => replies.positions(),
    caughtUp: () => replies.caughtUp(),
    async close() {
      await Promise.all([replies.close(), renewal.close(), sweeping.close()])
      try {
        // When nobody can say, it is taken for ours: what is left behind would stay for good.
        const successor = await lease.hasSuccessor().catch(() => false)
        if (!successor) await transport.deleteTopics([topic])
      } catch (thrown) {
        warn(thrown)
      }
    },
  }
}
