/**
 * Who reads which partition: the `cooperative-sticky` assignment (KIP-429), computed by the group's leader.
 *
 * Subscriptions and assignments are in Kafka's consumer protocol (KIP-429, KIP-792), so that members in Java and members
 * here can share a group, whoever leads it. The client's own assignor is not used: with partitions for some members
 * only (4 for 3 members, two of which hold 2 each) it leaves a new member without any.
 */
import {
  decodeConsumerProtocolAssignment,
  decodeConsumerProtocolSubscription,
  decodeCooperativeStickyGeneration,
  encodeConsumerProtocolAssignment,
  encodeConsumerProtocolSubscription,
} from '@platformatic/kafka'
import type { TopicPartition } from '../../transport.ts'

/** The name under which members agree on this assignment. */
export const ASSIGNMENT_PROTOCOL = 'cooperative-sticky'
const PROTOCOL_VERSION = 3

/** What a member wants and holds. */
export interface Subscription {
  readonly memberId: string
  readonly topics: readonly string[]
  readonly owned: readonly TopicPartition[]
  /** The generation in which `owned` was assigned. */
  readonly generation: number
}

/** What the member sends when it joins. */
export function encodeSubscription(
  topics: readonly string[],
  owned: readonly TopicPartition[],
  generation: number,
): Buffer {
  return encodeConsumerProtocolSubscription({
    version: PROTOCOL_VERSION,
    topics: [...topics],
    ownedPartitions: grouped(owned),
    generationId: generation,
    rackId: null,
  })
}

/** What another member sent. */
export function decodeSubscription(memberId: string, metadata: Buffer): Subscription {
  const { topics, ownedPartitions, generationId, userData } = decodeConsumerProtocolSubscription(metadata)
  // Before version 2 of the protocol, Java's members tell the generation in the user data.
  const generation = generationId >= 0 ? generationId : decodeCooperativeStickyGeneration(userData)
  return { memberId, topics, owned: flat(ownedPartitions), generation }
}

/** What the leader sends for a member. */
export function encodeAssignment(partitions: readonly TopicPartition[]): Buffer {
  return encodeConsumerProtocolAssignment({
    version: PROTOCOL_VERSION,
    assignedPartitions: grouped(partitions),
  })
}

/** What the leader gave to this member. */
export function decodeAssignment(assignment: Buffer): TopicPartition[] {
  return flat(decodeConsumerProtocolAssignment(assignment).assignedPartitions)
}

/**
 * Shares partitions out, as evenly as subscriptions allow, moving as few as possible. A partition that is to move stays
 * unassigned until its holder has let go of it and joined again.
 */
export function assignPartitions(
  members: readonly Subscription[],
  partitionCounts: ReadonlyMap<string, number>,
): Map<string, TopicPartition[]> {
  const holders = findHolders(members, partitionCounts)
  const shares = members
    .toSorted((a, b) => (a.memberId < b.memberId ? -1 : 1))
    .map((member): Share => ({ member, topics: new Set(member.topics), keys: new Set() }))
  const byId = new Map(shares.map((share) => [share.member.memberId, share]))
  const all = new Map<string, TopicPartition>()
  for (const [topic, count] of [...partitionCounts].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    for (let partition = 0; partition < count; partition++)
      all.set(keyOf(topic, partition), { topic, partition })
  }
  for (const [key, holder] of holders) byId.get(holder)!.keys.add(key)
  for (const [key, { topic }] of all) if (!holders.has(key)) leastLoaded(shares, topic)?.keys.add(key)
  balance(shares, all, holders)
  return new Map(
    shares.map(({ member, keys }) => {
      const stays = (key: string): boolean => (holders.get(key) ?? member.memberId) === member.memberId
      return [member.memberId, [...keys].filter(stays).map((key) => all.get(key)!)]
    }),
  )
}

interface Share {
  readonly member: Subscription
  readonly topics: ReadonlySet<string>
  readonly keys: Set<string>
}

/**
 * Who holds what. Of two that claim a partition the one of the later generation is right: the other missed that it lost
 * it. A claim of an earlier generation that nobody disputes is good (its member missed an answer, and has not let go),
 * and passing over it would give the partition to another before this member has drained it.
 */
function findHolders(
  members: readonly Subscription[],
  partitionCounts: ReadonlyMap<string, number>,
): Map<string, string> {
  const claims = new Map<string, { memberId: string; generation: number }>()
  for (const { memberId, topics, owned, generation } of members) {
    for (const { topic, partition } of owned) {
      if (partition >= (partitionCounts.get(topic) ?? 0) || !topics.includes(topic)) continue
      const key = keyOf(topic, partition)
      const other = claims.get(key)
      if (other === undefined || other.generation < generation) claims.set(key, { memberId, generation })
    }
  }
  return new Map([...claims].map(([key, { memberId }]) => [key, memberId]))
}

function leastLoaded(shares: readonly Share[], topic: string): Share | undefined {
  let least: Share | undefined
  for (const share of shares) {
    if (share.topics.has(topic) && (least === undefined || share.keys.size < least.keys.size)) least = share
  }
  return least
}

/** Moves single partitions from members that have at least two more to those that have fewer. Each move evens out, so it ends. */
function balance(
  shares: readonly Share[],
  all: ReadonlyMap<string, TopicPartition>,
  holders: ReadonlyMap<string, string>,
): void {
  for (let moved = true; moved;) {
    moved = false
    for (const from of shares.toSorted((a, b) => b.keys.size - a.keys.size)) {
      // Rather one that nobody holds yet: it moves at no cost.
      const free = (key: string): number => (holders.get(key) === from.member.memberId ? 1 : 0)
      for (const key of [...from.keys].toSorted((a, b) => free(a) - free(b))) {
        const to = leastLoaded(shares, all.get(key)!.topic)
        if (to === undefined || from.keys.size - to.keys.size < 2) continue
        from.keys.delete(key)
        to.keys.add(key)
        moved = true
      }
    }
  }
}

function keyOf(topic: string, partition: number): string {
  return `${topic}/${partition}`
}

function grouped(partitions: readonly TopicPartition[]): { topic: string; partitions: number[] }[] {
  return [...Map.groupBy(partitions, (one) => one.topic)].map(([topic, list]) => ({
    topic,
    partitions: list.map((one) => one.partition),
  }))
}

function flat(topics: readonly { topic: string; partitions: number[] }[]): TopicPartition[] {
  return topics.flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition })))
}
