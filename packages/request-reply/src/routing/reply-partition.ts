/**
 * `replyPartition`, the default: one reply topic, of which each instance tails one partition without a consumer group
 * and names it in its requests. No rebalance can take it away, and no other instance's replies need to be read.
 */
import { OptionsError } from '../errors.ts'
import { problemOfTopic } from '../contract/operation.ts'
import { partitionForKey } from '../transport/partitioner.ts'
import { requireTopic } from '../transport/topics.ts'
import { Housekeeping, LeaseTable, renewalInterval } from './leases.ts'
import type { OpenReplyRouting, ReplyRouting, RoutingContext } from './routing.ts'

export interface ReplyPartitionOptions {
  /** The reply topic. */
  readonly topic: string
  /**
   * This instance's partition. Default: one that no living instance has taken; with more instances than partitions
   * some share one, and pass over each other's replies.
   */
  readonly partition?: number
  /** How many partitions the topic gets when `createTopics` makes it; default 12. */
  readonly partitions?: number
}

/** A lease that was not renewed for this long, in milliseconds, no longer counts when a partition is chosen. */
const leaseValidity = 3 * renewalInterval
/**
 * Milliseconds between taking a partition and looking whether another instance took it at the same moment: at least
 * so long, and so many times as long as taking it lasted here. Whoever looked before we took it may be as slow, and
 * overtakes us unseen when it takes it after we have looked again.
 */
const leastSettlingTime = 50
const settlingTimes = 5
/** How often another partition is tried when somebody else took the same one. */
const attempts = 5

/** @throws OptionsError `MILENA_OPTIONS_INVALID` */
export function replyPartition(options: ReplyPartitionOptions): ReplyRouting {
  const problems: string[] = []
  const topicProblem = problemOfTopic(options.topic)
  if (topicProblem !== undefined) problems.push(`topic ${topicProblem}`)
  for (const [name, least] of [
    ['partition', 0],
    ['partitions', 1],
  ] as const) {
    const value = options[name]
    if (value !== undefined && (!Number.isSafeInteger(value) || value < least)) {
      problems.push(`${name} must be a whole number of at least ${least}, not ${value}`)
    }
  }
  if (problems.length > 0) throw new OptionsError('replyPartition', problems)
  return { name: 'replyPartition', open: (context) => open(options, context) }
}

async function open(options: ReplyPartitionOptions, context: RoutingContext): Promise<OpenReplyRouting> {
  const { transport, instanceId, clock } = context
  const { topic } = options
  const { partitions } = await requireTopic(
    transport,
    { name: topic, partitions: options.partitions ?? 12 },
    context.createTopics,
  )
  const leases = new LeaseTable(transport, topic)
  const partition = options.partition ?? (await choosePartition(leases, topic, partitions, context))
  const tail = await transport.tail({
    topic,
    partitions: [partition],
    from: 'latest',
    onRecords: (records) => context.receive(records),
    onError: (error) => context.warn(error),
  })
  const renew = (): Promise<void> =>
    leases.write({ topic, partition, owner: instanceId, renewedAt: clock.now() })
  const renewal = new Housekeeping(clock, renewalInterval, renew, (error) => context.warn(error))
  const address = { topic, partition }
  return {
    address: () => address,
    async close() {
      await Promise.all([tail.close(), renewal.close()])
      await leases.release(address).catch((error: Error) => context.warn(error))
    },
  }
}

/**
 * Takes a partition that nobody living has. Two instances that start at the same moment may take the same one: the
 * lease shows the last writer, so after a short while the first one sees that it was overtaken and takes another.
 */
async function choosePartition(
  leases: LeaseTable,
  topic: string,
  partitions: number,
  context: RoutingContext,
): Promise<number> {
  const { instanceId, clock } = context
  const byName = partitionForKey(Buffer.from(instanceId), partitions)
  let longest = 0
  try {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const free = await freePartitions(leases, topic, partitions, context)
      const lookedAt = clock.monotonic()
      const partition = free[partitionForKey(Buffer.from(`${instanceId} ${attempt}`), free.length)] ?? byName
      await leases.write({ topic, partition, owner: instanceId, renewedAt: clock.now() })
      if (free.length === 0) return partition
      longest = Math.max(longest, clock.monotonic() - lookedAt)
      const settling = Math.max(leastSettlingTime, settlingTimes * longest)
      await new Promise<void>((resolve) => clock.schedule(settling, resolve))
      const lease = (await leases.read([topic])).find((lease) => lease.partition === partition)
      if (lease?.owner === instanceId) return partition
    }
  } catch (error) {
    context.warn(error as Error)
  }
  return byName
}

async function freePartitions(
  leases: LeaseTable,
  topic: string,
  partitions: number,
  context: RoutingContext,
): Promise<number[]> {
  const livingSince = context.clock.now() - leaseValidity
  const taken = new Set<number>()
  for (const lease of await leases.read([topic])) {
    if (lease.renewedAt >= livingSince && lease.owner !== context.instanceId) taken.add(lease.partition)
  }
  return Array.from({ length: partitions }, (_, partition) => partition).filter(
    (partition) => !taken.has(partition),
  )
}
