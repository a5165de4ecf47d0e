import {
  instanceReplyTopic,
  replyPartition,
  sharedReplyTopic,
  type ReplyRouting,
} from '@milena/request-reply'
import { sameGroup } from './same-group.ts'

/** The reply routings that the system can run with; `sameGroup` is the document's broken one. */
export const routingNames = ['replyPartition', 'instanceReplyTopic', 'sharedReplyTopic', 'sameGroup'] as const
export type RoutingName = (typeof routingNames)[number]

/** Partitions of each reply topic: the document's 6, but one for each of up to 12 gateways where it is one each. */
const partitions = 6
const replyPartitions = 12
export const replyTopicPartitions: Readonly<Record<RoutingName, number>> = {
  replyPartition: replyPartitions,
  instanceReplyTopic: partitions,
  sharedReplyTopic: partitions,
  sameGroup: partitions,
}

/** A routing with the document's names of topics and group. */
export function chooseRouting(name: RoutingName, prefix: string): ReplyRouting {
  const shared = `${prefix}payment_response`
  const routings: Record<RoutingName, () => ReplyRouting> = {
    replyPartition: () => replyPartition({ topic: `${prefix}payment_reply`, partitions: replyPartitions }),
    instanceReplyTopic: () => instanceReplyTopic({ prefix: `${shared}_`, partitions }),
    sharedReplyTopic: () => sharedReplyTopic({ topic: shared, partitions }),
    sameGroup: () => sameGroup({ topic: shared, groupId: `${prefix}payment-gateway-group`, partitions }),
  }
  return routings[name]()
}
