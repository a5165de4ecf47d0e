import {
  instanceReplyTopic,
  replyPartition,
  sharedReplyTopic,
  type ReplyRouting,
} from '@milena/request-reply'
import { redisRelay } from '@milena/redis'
import { sameGroup } from './same-group.ts'

/** The reply routings that the system can run with; `sameGroup` is the broken one of S1's document (docs/systems.md). */
export const routingNames = [
  'replyPartition',
  'instanceReplyTopic',
  'sharedReplyTopic',
  'redisRelay',
  'redisPolling',
  'sameGroup',
] as const
export type RoutingName = (typeof routingNames)[number]

/** Partitions of each reply topic: the document's 6, but one for each of up to 12 gateways where it is one each. */
const partitions = 6
const replyPartitions = 12
export const replyTopicPartitions: Readonly<Record<RoutingName, number>> = {
  replyPartition: replyPartitions,
  instanceReplyTopic: partitions,
  sharedReplyTopic: partitions,
  redisRelay: partitions,
  redisPolling: partitions,
  sameGroup: partitions,
}

/** Whether a routing's replies come through Redis. */
export function needsRedis(name: RoutingName): boolean {
  return name === 'redisRelay' || name === 'redisPolling'
}

/** Whether a gateway that was killed can receive, under this routing, what came for it meanwhile. */
export function canResume(name: RoutingName): boolean {
  return !needsRedis(name) && name !== 'sameGroup'
}

/** The reply topic of the routings that need Redis: workers relay its replies, and no others. */
export function relayedTopic(prefix: string): string {
  return `${prefix}payment_relay_reply`
}

/** A routing with the document's names of topics and group. @param redisUrl for those that need it */
export function chooseRouting(name: RoutingName, prefix: string, redisUrl: string | undefined): ReplyRouting {
  const shared = `${prefix}payment_response`
  const relay = { url: redisUrl, topic: relayedTopic(prefix), partitions }
  const routings: Record<RoutingName, () => ReplyRouting> = {
    replyPartition: () => replyPartition({ topic: `${prefix}payment_reply`, partitions: replyPartitions }),
    instanceReplyTopic: () => instanceReplyTopic({ prefix: `${shared}_`, partitions }),
    sharedReplyTopic: () => sharedReplyTopic({ topic: shared, partitions }),
    redisRelay: () => redisRelay(relay),
    redisPolling: () => redisRelay({ ...relay, notify: 'poll' }),
    sameGroup: () => sameGroup({ topic: shared, groupId: `${prefix}payment-gateway-group`, partitions }),
  }
  return routings[name]()
}
