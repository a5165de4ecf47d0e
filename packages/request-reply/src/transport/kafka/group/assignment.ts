/**
 * Who reads which partition: the `cooperative-sticky` assignment (KIP-429), computed by the group's leader.
 * Members in Java and members here can share a group, whoever leads it.
 */
import { keyOf } from '../../partition-key.ts'
import type { TopicPartition } from '../../transport.ts'
import type { ConsumerSubscription } from '../protocol/consumer-protocol.ts'

/** The name under which members agree on this assignment. */
export const ASSIGNMENT_PROTOCOL = 'cooperative-sticky'

/** What a member wants and holds. */
export interface Subscription extends ConsumerSubscription {
  readonly memberId: string
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
      all.set(keyOf({ topic, partition }), { topic, partition })
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
    for (const one of owned) {
      const { topic, partition } = one
      if (partition >= (partitionCounts.get(topic) ?? 0) || !topics.includes(topic)) continue
      const key = keyOf(one)
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
