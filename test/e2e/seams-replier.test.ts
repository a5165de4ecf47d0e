/** The replier's seams on brokers: middlewares of a few lines, of which the library knows nothing. */
import { after, before, test, type TestContext } from 'node:test'
import { openKafka } from '@milena/request-reply'
import {
  answersFromTheStore,
  type ReplierCase,
} from '../../packages/request-reply/test/seams/replier-cases.ts'
import { openTestCluster, type TestCluster } from '../support/cluster.ts'

let cluster: TestCluster
before(async () => {
  cluster = await openTestCluster()
})
after(() => cluster.close())

async function onBrokers(t: TestContext): Promise<ReplierCase> {
  const requests = await cluster.createTopic('pay_request')
  const connect = async (): ReturnType<ReplierCase['connect']> => {
    const transport = await openKafka({ brokers: cluster.brokers })
    t.after(() => transport.close())
    return { transport, die: () => transport.close() }
  }
  const replies = await cluster.createTopic('pay_reply', { partitions: 2 })
  // Apache Kafka takes none that is shorter.
  return { requests, replies, sessionTimeout: 6_000, connect }
}

test('stored replies in a few lines: a redelivery gets the first reply, however late', async (t) => {
  await answersFromTheStore(await onBrokers(t))
})
