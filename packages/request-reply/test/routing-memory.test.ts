import * as runner from 'node:test'
import { instanceReplyTopic } from '../src/routing/instance-reply-topic.ts'
import { replyPartition } from '../src/routing/reply-partition.ts'
import { sharedReplyTopic } from '../src/routing/shared-reply-topic.ts'
import { createMemoryBroker } from '../src/transport/memory/broker.ts'
import { describeRoutingContract } from '../src/testing/routing-contract.ts'

const broker = createMemoryBroker()
const connect = async (): Promise<ReturnType<typeof broker.connect>> => broker.connect()

describeRoutingContract('replyPartition, in memory', {
  runner,
  connect,
  routing: (unique) => replyPartition({ topic: `replies_${unique}` }),
})
describeRoutingContract('replyPartition with more instances than partitions, in memory', {
  runner,
  connect,
  routing: (unique) => replyPartition({ topic: `replies_${unique}`, partitions: 2 }),
})
describeRoutingContract('instanceReplyTopic, in memory', {
  runner,
  connect,
  routing: (unique) => instanceReplyTopic({ prefix: `replies_${unique}_` }),
})
describeRoutingContract('sharedReplyTopic, in memory', {
  runner,
  connect,
  routing: (unique) => sharedReplyTopic({ topic: `replies_${unique}` }),
})
describeRoutingContract('several reply topics, in memory', {
  runner,
  connect,
  routing: (unique) => [
    replyPartition({ topic: `replies_${unique}` }),
    sharedReplyTopic({ topic: `replies_${unique}_shared` }),
  ],
})
