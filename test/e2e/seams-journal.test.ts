/** The requester's stages on brokers: a journal of a few lines, of which the library knows nothing. */
import { after, before, test } from 'node:test'
import { openKafka } from '@milena/request-reply'
import { finishesWhatADeadInstanceHadAccepted } from '../../packages/request-reply/test/seams/journal-case.ts'
import { openTestCluster, type TestCluster } from '../support/cluster.ts'

let cluster: TestCluster
before(async () => {
  cluster = await openTestCluster()
})
after(() => cluster.close())

test('a journal of a few lines finishes what a dead instance had accepted', async () => {
  const requests = await cluster.createTopic('work-request', { partitions: 2 })
  const replies = await cluster.createTopic('work-reply', { partitions: 3 })
  await finishesWhatADeadInstanceHadAccepted({
    requests,
    replies,
    connect: async () => {
      const transport = await openKafka({ brokers: cluster.brokers })
      return { transport, die: () => transport.close() }
    },
  })
})
