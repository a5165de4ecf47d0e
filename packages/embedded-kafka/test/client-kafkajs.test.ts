import assert from 'node:assert/strict'
import { test } from 'node:test'
import kafkajs from 'kafkajs'
import { startEmbeddedKafka } from '../src/index.ts'

const { CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = kafkajs

// This client says so on every start, which is no concern of these tests.
process.env['KAFKAJS_NO_PARTITIONER_WARNING'] = '1'

test('kafkajs administers topics, produces and consumes in a group', async () => {
  await using broker = await startEmbeddedKafka()
  const kafka = new Kafka({ clientId: 'test', brokers: [...broker.brokers], logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  const consumer = kafka.consumer({ groupId: 'g', maxWaitTimeInMs: 1000 })
  await Promise.all([admin.connect(), producer.connect(), consumer.connect()])
  try {
    await admin.createTopics({
      topics: [{ topic: 't', numPartitions: 2, configEntries: [{ name: 'retention.ms', value: '5000' }] }],
    })
    await admin.createPartitions({ topicPartitions: [{ topic: 't', count: 3 }] })
    const { topics } = await admin.fetchTopicMetadata({ topics: ['t'] })
    assert.equal(topics[0]?.partitions.length, 3)
    const described = await admin.describeConfigs({
      includeSynonyms: true,
      resources: [{ type: ConfigResourceTypes.TOPIC, name: 't', configNames: ['retention.ms'] }],
    })
    assert.equal(described.resources[0]?.configEntries[0]?.configValue, '5000')

    for (const compression of [CompressionTypes.None, CompressionTypes.GZIP]) {
      const messages = [0, 1, 2].map((partition) => ({
        partition,
        key: 'k',
        value: `v${partition} ${compression}`,
      }))
      await producer.send({ topic: 't', acks: -1, compression, messages })
    }
    const offsets = await admin.fetchTopicOffsets('t')
    assert.deepEqual(offsets.map(({ partition, high, low }) => `${partition}: ${low}-${high}`).toSorted(), [
      '0: 0-2',
      '1: 0-2',
      '2: 0-2',
    ])

    const seen: string[] = []
    const all = Promise.withResolvers<void>()
    await consumer.subscribe({ topics: ['t'], fromBeginning: true })
    await consumer.run({
      eachMessage: ({ message }) => {
        seen.push(String(message.value))
        if (seen.length === 6) all.resolve()
        return Promise.resolve()
      },
    })
    await all.promise
    assert.deepEqual(seen.toSorted(), ['v0 0', 'v0 1', 'v1 0', 'v1 1', 'v2 0', 'v2 1'])

    await admin.deleteTopicRecords({ topic: 't', partitions: [{ partition: 0, offset: '1' }] })
    assert.equal((await admin.fetchTopicOffsets('t')).find(({ partition }) => partition === 0)?.low, '1')
    await consumer.disconnect()
    await admin.deleteTopics({ topics: ['t'] })
    assert.deepEqual(await admin.listTopics(), [])
  } finally {
    await Promise.all([consumer.disconnect(), producer.disconnect(), admin.disconnect()])
  }
})
