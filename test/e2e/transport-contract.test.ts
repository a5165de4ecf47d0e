import * as runner from 'node:test'
import { Admin } from '@platformatic/kafka'
import { openKafka } from '@milena/request-reply'
import { cutOff } from '../../packages/request-reply/test/kafka/cut-off.ts'
import { describeTransportContract } from '@milena/request-reply/testing'
import { openTestCluster } from '../support/cluster.ts'

const on = process.env['KAFKA_BROKERS'] ? 'Apache Kafka' : 'the embedded broker'

describeTransportContract(`Kafka adapter on ${on}`, {
  runner,
  async open() {
    const cluster = await openTestCluster()
    return {
      transport: () => openKafka({ brokers: cluster.brokers, metadataMaxAge: 1_000 }),
      topic: (partitions) => cluster.createTopic('contract', { partitions }),
      async addPartitions(topic, total) {
        const admin = new Admin({ clientId: 'contract', bootstrapBrokers: cluster.brokers })
        try {
          await admin.createPartitions({ topics: [{ name: topic, count: total }] })
        } finally {
          await admin.close()
        }
      },
      cutOff(_transport, milliseconds) {
        const until = performance.now() + milliseconds
        void cutOff(() => performance.now() >= until)
      },
      close: () => cluster.close(),
    }
  },
})
