import assert from 'node:assert/strict'
import { after, before, describe, mock, test } from 'node:test'
import { startEmbeddedKafka, type EmbeddedKafka } from '@milena/embedded-kafka'
import { createRecordsBatch, type MessageRecord } from '@platformatic/kafka'
import { Connections } from '../../src/transport/kafka/cluster/connections.ts'
import { Metadata } from '../../src/transport/kafka/cluster/metadata.ts'
import { resolveKafkaOptions } from '../../src/transport/kafka/options.ts'
import { LogReader } from '../../src/transport/kafka/reading/log-reader.ts'
import { AnswerMemory } from '../../src/transport/kafka/batches/record-batches.ts'
import { openLogWriter, type LogWriter } from './log-writer.ts'
import { until } from './until.ts'

const topic = 'read'
let broker: EmbeddedKafka
let writer: LogWriter
let connections: Connections
let metadata: Metadata

before(async () => {
  broker = await startEmbeddedKafka()
  writer = openLogWriter(broker.brokers)
  connections = new Connections(resolveKafkaOptions({ brokers: broker.brokers }))
  metadata = new Metadata(connections)
  await writer.createTopic(topic)
  await writer.write([{ topic, partition: 0, value: 'a' }])
  metadata.watch(topic)
  await metadata.refresh()
})

after(async () => {
  await metadata.close()
  await connections.close()
  await writer.close()
  await broker.close()
})

function batchAt(offset: number, value: string): Buffer {
  const records = [{ topic, value: Buffer.from(value) }] as MessageRecord[]
  const batch = Buffer.from(createRecordsBatch(records, {}).buffer)
  batch.writeBigInt64BE(BigInt(offset), 0)
  return batch
}

function damaged(batch: Buffer): Buffer {
  batch[batch.length - 2] = batch.at(-2)! ^ 1
  return batch
}

/** A partition that is paused: what is answered for it, the test says. */
function open() {
  const values: string[] = []
  const troubles: string[][] = []
  const reader = new LogReader(connections, metadata, {
    onRecords: (records) => values.push(...records.map(({ value }) => String(value))),
    onTrouble: (list) => troubles.push(list.map(({ kind }) => kind)),
    onError: () => undefined,
  })
  const partition = reader.add({ topic, partition: 0 }, 0)
  reader.pause(partition)
  return {
    reader,
    values,
    troubles,
    answer(records: Buffer, isFirst = true) {
      const ends = { errorCode: 0, highWatermark: 2, lastStable: 2, aborted: undefined }
      const together = { sentAt: performance.now(), memory: new AnswerMemory(1_000_000), isFirst }
      reader.take(partition, { topic, partition: 0, ...ends, records }, together)
    },
    [Symbol.asyncDispose]: () => reader.close(),
  }
}

describe('a reader of partitions', () => {
  test('has caught up with what stood there, though what came behind it is damaged', async () => {
    const answered = mock.method(metadata, 'absolve')
    await using reading = open()
    let caughtUp = false
    void reading.reader.caughtUp().then(() => (caughtUp = true))
    // The broker has said twice where the log ends, in its term and to this question: what is left is to read up to there.
    await until('the end is known', () => answered.mock.callCount() === 2)
    await new Promise(setImmediate)
    reading.answer(Buffer.concat([batchAt(0, 'a'), damaged(batchAt(1, 'b'))]))
    assert.deepEqual(reading.values, ['a'])
    await new Promise(setImmediate)
    assert.ok(caughtUp)
  })

  test('does not take what is cut off for the end of its trouble', async () => {
    await using reading = open()
    reading.answer(damaged(batchAt(0, 'a')))
    assert.deepEqual(reading.troubles, [['unreadable']])
    // Behind another partition's records in the answer there was no room for more.
    reading.answer(batchAt(0, 'a').subarray(0, 40), false)
    assert.deepEqual(reading.troubles, [['unreadable']])
    reading.answer(batchAt(0, 'a'))
    assert.deepEqual([reading.troubles, reading.values], [[['unreadable'], []], ['a']])
  })
})
