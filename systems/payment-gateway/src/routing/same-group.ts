/**
 * The bug, one group for all gateways, built as a user-made routing: never use it.
 *
 * All gateways share one reply topic *and one consumer group*. A group gives each partition to one member, so a reply
 * reaches whichever gateway happens to hold the partition that the replier's partitioner chose:
 *
 *   1. gateway 1 holds partitions 0, 2, 4 of the reply topic, gateway 2 holds 1, 3, 5;
 *   2. gateway 1 asks for order o-1; the reply address names the topic and no partition;
 *   3. the worker charges o-1 and replies; the key o-1 hashes to partition 3;
 *   4. gateway 2 reads the reply, has never heard of its correlation id, and passes over it;
 *   5. gateway 1 times out. The customer paid and was told that something went wrong.
 *
 * With two gateways half of the replies go astray, with N gateways (N-1)/N of them, and a rebalance adds to it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { OpenReplyRouting, ReplyRouting, RoutingContext } from '@milena/request-reply'

export interface SameGroupOptions {
  readonly topic: string
  readonly groupId: string
  /** Of the topic, if it is to be created. */
  readonly partitions: number
}

/** Milliseconds that the group may take to give this gateway its first partitions. */
const assignmentBound = 5_000

export function sameGroup({ topic, groupId, partitions }: SameGroupOptions): ReplyRouting {
  return {
    name: 'sameGroup',
    async open(context: RoutingContext): Promise<OpenReplyRouting> {
      const { transport, createTopics } = context
      if (createTopics) await transport.createTopics([{ name: topic, partitions }])
      const assigned = Promise.withResolvers<void>()
      const membership = await transport.join({
        groupId,
        topics: [topic],
        from: 'latest',
        onRecords(records) {
          context.receive(records)
          // As S1's document has it: what was read is done with, whosever it was.
          const last = records.at(-1)
          if (last) membership.commit([{ ...last, offset: last.offset + 1 }]).catch(() => {})
        },
        onAssigned: () => assigned.resolve(),
        onRevoked: () => Promise.resolve(),
        onLost: () => {},
        onError: (error) => context.warn(error),
      })
      // With more gateways than partitions the last ones get none.
      await Promise.race([assigned.promise, sleep(assignmentBound)])
      return { address: () => ({ topic }), close: () => membership.close() }
    },
  }
}
