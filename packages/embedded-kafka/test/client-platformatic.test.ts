import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  Admin,
  Consumer,
  ListOffsetTimestamps,
  MessagesStreamModes,
  Producer,
  ProduceAcks,
  stringDeserializers,
  stringSerializers,
} from '@platformatic/kafka'
import { startEmbeddedKafka } from '../src/index.ts'

const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

test('@platformatic/kafka creates a topic, produces in every codec, idempotently, and reads all of it back', async () => {
  await using broker = await startEmbeddedKafka()
  const bootstrapBrokers = [...broker.brokers]
  const admin = new Admin({ clientId: 'test', bootstrapBrokers })
  const producer = new Producer({
    clientId: 'test',
    bootstrapBrokers,
    serializers: stringSerializers,
    idempotent: true,
  })
  const consumer = new Consumer({
    clientId: 'test',
    groupId: 'g',
    bootstrapBrokers,
    deserializers: stringDeserializers,
    autocommit: false,
  })
  try {
    const [created] = await admin.createTopics({ topics: ['t'], partitions: 3, replicas: 1 })
    assert.equal(created?.name, 't')
    for (const compression of codecs) {
      const messages = [0, 1, 2].map((partition) => ({
        topic: 't',
        partition,
        key: compression,
        value: `v${partition}`,
      }))
      await producer.send({ messages, compression, acks: ProduceAcks.ALL })
    }
    const offsets = await consumer.listOffsets({ topics: ['t'], timestamp: ListOffsetTimestamps.LATEST })
    assert.deepEqual(offsets.get('t'), [5n, 5n, 5n])

    const stream = await consumer.consume({
      topics: ['t'],
      mode: MessagesStreamModes.EARLIEST,
      maxWaitTime: 1000,
    })
    const seen: string[] = []
    for await (const message of stream) {
      seen.push(`${message.key} ${message.value}`)
      if (seen.length === 15) break
    }
    const expected = codecs.flatMap((codec) => [0, 1, 2].map((partition) => `${codec} v${partition}`))
    assert.deepEqual(seen.toSorted(), expected.toSorted())
    await admin.deleteTopics({ topics: ['t'] })
    assert.deepEqual(await admin.listTopics(), [])
  } finally {
    await consumer.close(true)
    await producer.close()
    await admin.close()
  }
})

test('@platformatic/kafka is told of a topic that does not exist', async () => {
  await using broker = await startEmbeddedKafka()
  const producer = new Producer({
    clientId: 'test',
    bootstrapBrokers: [...broker.brokers],
    serializers: stringSerializers,
    retries: 0,
  })
  try {
    await assert.rejects(producer.send({ messages: [{ topic: 'nope', value: 'v' }] }), /Unknown topic nope/)
  } finally {
    await producer.close()
  }
})
