/** Somebody else's transaction on Apache Kafka, left open: what stands behind it is not read, which is told, and then is. */
import assert from 'node:assert/strict'
import { after, before, mock, test } from 'node:test'
import { Producer, stringSerializers } from '@platformatic/kafka'
import { openKafka } from '../../packages/request-reply/src/transport/kafka/kafka-transport.ts'
import { LogReader } from '../../packages/request-reply/src/transport/kafka/reading/log-reader.ts'
import type { Transport } from '../../packages/request-reply/src/transport/transport.ts'
import { startKafka, type KafkaCluster } from '../../tools/kafka/cluster.ts'
import { waitFor } from '../support/wait-for.ts'

type Take = LogReader['take']

const topic = 'work'
let kafka: KafkaCluster
let transport: Transport

before(async () => {
  kafka = await startKafka({ brokers: 1 })
  transport = await openKafka({ brokers: kafka.brokers })
  await transport.createTopics([{ name: topic, partitions: 1 }])
})
after(async () => {
  await transport?.close()
  await kafka?.close()
})

test('a transaction that stays open keeps back what stands behind it, is a trouble after 30 s, and ends as it ends', async () => {
  const values: string[] = []
  const troubles: string[][] = []
  const errors: string[] = []
  const tail = await transport.tail({
    topic,
    partitions: 'all',
    from: 'earliest',
    onRecords: (records) => values.push(...records.map(({ value }) => String(value))),
    onTrouble: (list) => troubles.push(list.map(({ kind }) => kind)),
    onError: ({ message }) => errors.push(message),
  })
  const producer = new Producer({
    clientId: 'foreign',
    bootstrapBrokers: kafka.brokers,
    transactionalId: 'foreign',
    idempotent: true,
    serializers: stringSerializers,
  })
  const now = performance.now.bind(performance)
  let ahead = 0
  mock.method(performance, 'now', () => now() + ahead)
  const keptBack = watchAnswers()
  try {
    for (const end of ['commit', 'abort'] as const) {
      const before = values.length
      const transaction = await producer.beginTransaction()
      await transaction.send({ acks: -1, messages: [{ topic, partition: 0, value: `of one to ${end}` }] })
      await transport.send({ topic, partition: 0, key: null, value: Buffer.from('behind'), headers: [] })
      const answers = keptBack()
      await waitFor(() => keptBack() > answers, { what: 'an answer that keeps something back' })
      ahead += 31_000
      await waitFor(() => troubles.at(-1)?.includes('transaction-open'), { what: 'the trouble' })
      assert.match(errors.at(-1)!, /a transaction that began at offset \d+ has been open/)
      assert.equal(values.length, before)
      await transaction[end]()
      await waitFor(() => values.length > before && values.at(-1) === 'behind', { what: 'what was behind' })
      assert.deepEqual(values.slice(before), end === 'commit' ? [`of one to ${end}`, 'behind'] : ['behind'])
      await waitFor(() => troubles.at(-1)?.length === 0, { what: 'the end of the trouble' })
    }
  } finally {
    mock.restoreAll()
    await producer.close()
    await tail.close()
  }
})

/** How many answers to fetches had nothing that could be read, though something stood there. */
function watchAnswers(): () => number {
  const take: Take = Reflect.get(LogReader.prototype, 'take')
  let answers = 0
  mock.method(LogReader.prototype, 'take', function (this: LogReader, ...given: Parameters<Take>) {
    const [, { records, lastStable, highWatermark }] = given
    take.apply(this, given)
    if (records === undefined && lastStable < highWatermark) answers++
  })
  return () => answers
}
