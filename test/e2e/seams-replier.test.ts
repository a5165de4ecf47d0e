/** The replier's seams on brokers: middlewares of a few lines, of which the library knows nothing. */
import { after, before, test, type TestContext } from 'node:test'
import { openKafka } from '@milena/request-reply'
import { keepsWhatFailed, type ReplierCase } from '../../packages/request-reply/test/seams/replier-cases.ts'
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
  const { transport } = await connect()
  await transport.createTopics([{ name: `${requests}-dlt`, partitions: 1 }])
  cluster.own(`${requests}-dlt`)
  const replies = await cluster.createTopic('pay_reply', { partitions: 2 })
  // Apache Kafka takes none that is shorter.
  return { requests, replies, sessionTimeout: 6_000, connect }
}

test('dead letters in a few lines: nothing is committed past a record that could not be kept', async (t) => {
  await keepsWhatFailed(await onBrokers(t))
})
