/** Where partitions begin, of topics that grow meanwhile. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { startEmbeddedKafka, type EmbeddedKafka } from '@milena/embedded-kafka'
import { Metadata } from '../../src/transport/kafka/cluster/metadata.ts'
import { Connections } from '../../src/transport/kafka/connection/connections.ts'
import { openKafka } from '../../src/transport/kafka/kafka-transport.ts'
import { resolveKafkaOptions } from '../../src/transport/kafka/options.ts'
import { findOffsets } from '../../src/transport/kafka/reading/offsets.ts'
import { MemberLog } from '../../src/testing/collector.ts'
import { openLogWriter, type LogWriter } from './log-writer.ts'

let broker: EmbeddedKafka
let writer: LogWriter
let topic = ''
let topics = 0

before(async () => {
  broker = await startEmbeddedKafka()
  writer = openLogWriter(broker.brokers)
})

beforeEach(() => {
  topic = `grows-${++topics}`
  broker.createTopic({ name: topic, partitions: 2 })
})

after(async () => {
  await writer.close()
  await broker.close()
})

/** What is known of the topic is what was asked for now, and nobody else asks. */
async function look(): Promise<AsyncDisposable & { offsets(...partitions: number[]): Promise<number[]> }> {
  const connections = new Connections(resolveKafkaOptions({ brokers: broker.brokers }))
  const metadata = new Metadata(connections)
  metadata.watch(topic)
  await metadata.refresh()
  const source = { metadata, pool: connections.open(), signal: new AbortController().signal }
  return {
    offsets: (...partitions) =>
      findOffsets(
        source,
        partitions.map((partition) => ({ topic, partition })),
        'latest',
      ),
    async [Symbol.asyncDispose]() {
      await metadata.close()
      await connections.close()
    },
  }
}

test('a partition that was added since metadata was asked for is found', async () => {
  await using known = await look()
  await writer.addPartitions(topic, 4)
  assert.deepEqual(await known.offsets(0, 3), [0, 0])
})

test('a partition that no answer has is refused', async () => {
  await using known = await look()
  await assert.rejects(known.offsets(0, 2), {
    code: 'MILENA_PARTITION_MISSING',
    message: `reading topic ${topic}: there is no partition 2, it has partitions 0 to 1`,
  })
})

test('every member reads the partitions that were added, not only the one that leads', async () => {
  const members = [new MemberLog('a'), new MemberLog('b')]
  const transports = await Promise.all(members.map(() => openKafka({ brokers: broker.brokers })))
  try {
    for (const [index, one] of members.entries())
      await transports[index]!.join(one.options({ groupId: topic, topics: [topic] }))
    await Promise.all(members.map((one) => one.holds(1)))
    await writer.addPartitions(topic, 6)
    for (let partition = 0; partition < 6; partition++)
      await writer.write([{ topic, partition, value: 'first' }])
    await Promise.all(members.map((one) => one.count(3)))
    assert.deepEqual(
      members.flatMap(({ errors }) => errors),
      [],
    )
  } finally {
    await Promise.all(transports.map((one) => one.close()))
  }
})
