/**
 * `replyPartition`, the default: one reply topic, of which each instance tails one partition without a consumer group
 * and names it in its requests. No rebalance can take it away, and no other instance's replies need to be read.
 *
 * Guaranteed: every reply that reaches the partition while the topic stands, and after a restart from where the
 * predecessor stood, as far as the topic still has it. With `partition`, or with positions to resume from, the address
 * after a restart is the same; with a fixed instance id alone it is the one that the instance's own lease names, which
 * nobody else takes within 30 s of a kill (and which `close` gives back). An instance id that another living instance has is refused at the
 * start (`living-owner.ts`). Not guaranteed: that an instance has its
 * partition for itself, and replies that stood in a topic that was deleted.
 */
import { OptionsError } from '../errors.ts'
import { unknownOptions } from '../given.ts'
import { problemOfTopic } from '../contract/operation.ts'
import { partitionForKey } from '../transport/partitioner.ts'
import { requireTopic } from '../transport/topics.ts'
import { errorOf, said } from '../words.ts'
import { Housekeeping, isClosed, LeaseTable, leaseValidity, renewalInterval, type Lease } from './leases.ts'
import { answering, refuseLivingOwner } from './living-owner.ts'
import { OwnLease } from './own-lease.ts'
import { ReplyTopic } from './reply-topic.ts'
import { startOf } from './resume.ts'
import type { OpenReplyRouting, ReplyRouting, RoutingContext } from './routing.ts'

export interface ReplyPartitionOptions {
  /** The reply topic. */
  readonly topic: string
  /**
   * This instance's partition; one that the topic does not have is an error at the start. Default: that of the positions
   * to resume from, or of this instance's own lease, or one that no living instance has taken; with more instances than
   * partitions some share one, and pass over each other's replies.
   */
  readonly partition?: number
  /** How many partitions the topic gets when `createTopics` makes it; default 12, or as many as `partition` needs. */
  readonly partitions?: number
}

const defaultPartitions = 12
/**
 * Milliseconds between taking a partition and looking whether another instance took it at the same moment: at least
 * so long, and so many times as long as taking it lasted here. Whoever looked before we took it may be as slow, and
 * overtakes us unseen when it takes it after we have looked again.
 */
const leastSettlingTime = 50
const settlingTimes = 5
/**
 * Milliseconds at most. What takes longer waits for a coordinator, as everybody does: when there is one again, those who
 * waited write within a pause of each other.
 */
const longestSettlingTime = 500
/** How often another partition is tried when somebody else took the same one. */
const attempts = 5

const known: ReadonlySet<string> = new Set<keyof ReplyPartitionOptions>(['topic', 'partition', 'partitions'])

/** @throws OptionsError `MILENA_OPTIONS_INVALID` */
export function replyPartition(options: ReplyPartitionOptions): ReplyRouting {
  const problems = unknownOptions('replyPartition', options, known)
  const topicProblem = problemOfTopic(options.topic)
  if (topicProblem !== undefined) problems.push(`topic ${topicProblem}`)
  for (const [name, least] of [
    ['partition', 0],
    ['partitions', 1],
  ] as const) {
    const value = options[name]
    if (value !== undefined && (!Number.isSafeInteger(value) || value < least)) {
      problems.push(`${name} must be a whole number of at least ${least}, not ${said(value)}`)
    }
  }
  if (problems.length > 0) throw new OptionsError('replyPartition', problems)
  const { topic } = options
  return { name: 'replyPartition', topicOf: () => topic, open: (context) => open(options, context) }
}

async function open(options: ReplyPartitionOptions, context: RoutingContext): Promise<OpenReplyRouting> {
  const { transport, createTopics, resumeFrom, clock } = context
  const { topic } = options
  const wanted = options.partitions ?? Math.max(defaultPartitions, (options.partition ?? 0) + 1)
  const { partitions } = await requireTopic(transport, { name: topic, partitions: wanted }, createTopics)
  const given = options.partition ?? resumeFrom?.find((position) => position.topic === topic)?.partition
  if (given !== undefined && !(Number.isSafeInteger(given) && given >= 0 && given < partitions)) {
    const who = options.partition === undefined ? 'resumeFrom names' : 'it is to read'
    throw new OptionsError('replyPartition', [
      `${who} partition ${given}, and topic ${topic} has ${partitions}, numbered from 0`,
    ])
  }
  const from = startOf('replyPartition', resumeFrom, topic, given === undefined ? [] : [given])
  const leases = new LeaseTable(transport, topic)
  if (given !== undefined) await refuseLivingOwner(leases, { topic, partition: given }, context)
  const lease =
    given === undefined
      ? await takePartition(leases, topic, partitions, context)
      : new OwnLease(leases, { topic, partition: given }, context)
  const address = lease.place
  const replies = await ReplyTopic.open(answering(context, lease), {
    spec: { name: topic, partitions },
    partitions: [address.partition],
    from,
    makeAgain: createTopics,
  })
  const warn = (thrown: unknown): void => {
    if (!isClosed(thrown)) context.warn(errorOf(thrown))
  }
  // A partition that was given is written down at once, so that nobody takes it, too; nobody has to wait for that.
  const firstRenewal = given === undefined ? renewalInterval : 0
  const renewal = new Housekeeping(clock, renewalInterval, () => lease.renew(), warn, firstRenewal)
  return {
    address: () => address,
    troubles: () => replies.troubles(),
    positions: () => replies.positions(),
    caughtUp: () => replies.caughtUp(),
    async close() {
      await Promise.all([replies.close(), renewal.close()])
      try {
        await lease.release()
      } catch (thrown) {
        warn(thrown)
      }
    },
  }
}

/**
 * Takes the partition that this instance's own lease names, or one that nobody living has. Two instances that start at
 * the same moment may take the same one: the lease shows the last writer, so after a short while the first one sees
 * that it was overtaken and takes another.
 */
async function takePartition(
  leases: LeaseTable,
  topic: string,
  partitions: number,
  context: RoutingContext,
): Promise<OwnLease> {
  const { instanceId, clock } = context
  const byName = partitionForKey(Buffer.from(instanceId), partitions)
  let longest = 0
  try {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const all = await leases.read([topic])
      const free = freePartitions(all, partitions, context)
      const before = ownBefore(all, partitions, instanceId)
      if (before !== undefined && attempt === 0)
        await refuseLivingOwner(leases, { topic, partition: before }, context)
      const lookedAt = clock.monotonic()
      const partition =
        before ?? free[partitionForKey(Buffer.from(`${instanceId} ${attempt}`), free.length)] ?? byName
      const lease = new OwnLease(leases, { topic, partition }, context)
      await lease.renew()
      if (free.length === 0) return lease
      longest = Math.max(longest, clock.monotonic() - lookedAt)
      const settling = Math.min(Math.max(leastSettlingTime, settlingTimes * longest), longestSettlingTime)
      await new Promise<void>((resolve) => clock.schedule(settling, resolve))
      const seen = (await leases.read([topic])).find((each) => each.partition === partition)
      if (seen?.owner === instanceId) return lease
    }
  } catch (thrown) {
    if (thrown instanceof OptionsError) throw thrown
    if (!isClosed(thrown)) context.warn(errorOf(thrown))
  }
  return new OwnLease(leases, { topic, partition: byName }, context)
}

/** What this instance had when it was killed and nobody has taken since; the last of them, when there are several. */
function ownBefore(leases: readonly Lease[], partitions: number, instanceId: string): number | undefined {
  return leases
    .filter((lease) => lease.owner === instanceId && lease.partition < partitions)
    .toSorted((one, other) => other.renewedAt - one.renewedAt)[0]?.partition
}

function freePartitions(
  leases: readonly Lease[],
  partitions: number,
  { clock, instanceId }: RoutingContext,
): number[] {
  const livingSince = clock.now() - leaseValidity
  const taken = new Set<number>()
  for (const lease of leases) {
    if (lease.renewedAt >= livingSince && lease.owner !== instanceId) taken.add(lease.partition)
  }
  return Array.from({ length: partitions }, (_, partition) => partition).filter(
    (partition) => !taken.has(partition),
  )
}
