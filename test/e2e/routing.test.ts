import * as runner from 'node:test'
import {
  instanceReplyTopic,
  openKafka,
  replyPartition,
  sharedReplyTopic,
  type Transport,
} from '@milena/request-reply'
import { describeRoutingContract } from '@milena/request-reply/testing'
import { openTestCluster, type TestCluster } from '../support/cluster.ts'

let cluster: TestCluster
runner.before(async () => {
  cluster = await openTestCluster()
})
runner.after(() => cluster.close())

const connect = (): Promise<Transport> => openKafka({ brokers: cluster.brokers })

describeRoutingContract('replyPartition', {
  runner,
  connect,
  routing: (unique) => replyPartition({ topic: `replies_${unique}` }),
})
describeRoutingContract('instanceReplyTopic', {
  runner,
  connect,
  routing: (unique) => instanceReplyTopic({ prefix: `replies_${unique}_` }),
})
describeRoutingContract('sharedReplyTopic', {
  runner,
  connect,
  routing: (unique) => sharedReplyTopic({ topic: `replies_${unique}` }),
})
describeRoutingContract('several reply topics', {
  runner,
  connect,
  routing: (unique) => [
    replyPartition({ topic: `replies_${unique}` }),
    sharedReplyTopic({ topic: `replies_${unique}_shared` }),
  ],
})
