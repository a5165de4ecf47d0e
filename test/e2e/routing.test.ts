import { after, before } from 'node:test'
import {
  instanceReplyTopic,
  openKafka,
  replyPartition,
  sharedReplyTopic,
  type Transport,
} from '@milena/request-reply'
import { describeRoutingContract } from '../../packages/request-reply/test/routing-contract.ts'
import { openTestCluster, type TestCluster } from '../support/cluster.ts'

let cluster: TestCluster
before(async () => {
  cluster = await openTestCluster()
})
after(() => cluster.close())

const connect = (): Promise<Transport> => openKafka({ brokers: cluster.brokers })

describeRoutingContract('replyPartition', {
  connect,
  routing: (unique) => replyPartition({ topic: `replies_${unique}` }),
})
describeRoutingContract('instanceReplyTopic', {
  connect,
  routing: (unique) => instanceReplyTopic({ prefix: `replies_${unique}_` }),
})
describeRoutingContract('sharedReplyTopic', {
  connect,
  routing: (unique) => sharedReplyTopic({ topic: `replies_${unique}` }),
})
describeRoutingContract('several reply topics', {
  connect,
  routing: (unique) => [
    replyPartition({ topic: `replies_${unique}` }),
    sharedReplyTopic({ topic: `replies_${unique}_shared` }),
  ],
})
