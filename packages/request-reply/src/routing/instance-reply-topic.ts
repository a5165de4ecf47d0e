/**
 * `instanceReplyTopic`: a reply topic of its own for each instance, created when it starts and removed when it closes.
 * For strict isolation, or a right for each instance. What a killed instance leaves behind is swept by the living ones.
 */
import { problemOfTopic } from '../contract/operation.ts'
import { MilenaError, OptionsError, TransportError } from '../errors.ts'
import type { TopicSpec } from '../transport/transport.ts'
import { Housekeeping, LeaseTable, renewalInterval } from './leases.ts'
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

/** @throws OptionsError `MILENA_OPTIONS_INVALID` */
export function instanceReplyTopic(options: InstanceReplyTopicOptions): ReplyRouting {
  const { prefix, partitions = 1, sweepAfter = 600_000 } = options
  const problems: string[] = []
  const prefixProblem = problemOfTopic(prefix)
  if (prefixProblem !== undefined) problems.push(`prefix ${prefixProblem}`)
  if (!Number.isSafeInteger(partitions) || partitions < 1) {
    problems.push(`partitions must be a whole number of at least 1, not ${partitions}`)
  }
  if (!(sweepAfter >= 6 * renewalInterval)) {
    problems.push(`sweepAfter must be at least ${6 * renewalInterval} ms, not ${sweepAfter}`)
  }
  if (problems.length > 0) throw new OptionsError('instanceReplyTopic', problems)
  return { name: 'instanceReplyTopic', open: (context) => open(options, sweepAfter, context) }
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
  await transport.createTopics([spec])

  const leases = new LeaseTable(transport, options.prefix)
  let renewedAt = 0
  let missing = false
  let mending = Promise.resolve()
  const mend = async (): Promise<void> => {
    await transport.createTopics([spec])
    missing = false
  }
  const renew = async (): Promise<void> => {
    if (missing) await mend()
    renewedAt = Math.round(clock.now())
    await leases.write({ topic, partition: 0, owner: instanceId, renewedAt })
  }
  await renew().catch((error: Error) => context.warn(error))

  let closing = false
  const opening = transport.tail({
    topic,
    partitions: 'all',
    from: 'latest',
    onRecords: (records) => context.receive(records),
    onError(error) {
      if (closing) return
      if (!(error instanceof MilenaError && error.code === 'MILENA_TOPIC_MISSING')) context.warn(error)
      else {
        const what = `reply topic ${topic} was removed under its living owner, which makes it again; what was on its way is lost`
        context.warn(new TransportError(error.code, what, { cause: error }))
        // When making it again fails, that is tried again with each renewal.
        missing = true
        mending = mend().catch((cause: Error) => context.warn(cause))
      }
    },
  })
  const tail = await opening.catch(async (error: unknown) => {
    await transport.deleteTopics([topic]).catch((cause: Error) => context.warn(cause))
    throw error
  })
  const renewal = new Housekeeping(clock, renewalInterval, renew, (error) => context.warn(error))
  const sweeper = new TopicSweeper({
    transport,
    leases,
    clock,
    prefix: options.prefix,
    own: topic,
    sweepAfter,
  })
  const sweeping = new Housekeeping(
    clock,
    renewalInterval,
    () => sweeper.sweep(),
    (error) => context.warn(error),
  )
  const address = { topic }
  return {
    address: () => address,
    async close() {
      closing = true
      await Promise.all([tail.close(), renewal.close(), sweeping.close(), mending])
      try {
        if (await isStillOurs()) await transport.deleteTopics([topic])
      } catch (error) {
        context.warn(error as Error)
      }
    },
  }

  /** An instance that was started under our instance id before we ended has the topic now, and writes its own lease. */
  async function isStillOurs(): Promise<boolean> {
    const [lease] = await leases.read([topic]).catch(() => [])
    return lease === undefined || lease.renewedAt <= renewedAt
  }
}
