import assert from 'node:assert/strict'
import { after, before, describe, mock, test } from 'node:test'
import { startEmbeddedKafka, type EmbeddedKafka } from '@milena/embedded-kafka'
import { createRecordsBatch, type MessageRecord } from '@platformatic/kafka'
import { Connections } from '../../src/transport/kafka/connection/connections.ts'
import { Metadata } from '../../src/transport/kafka/cluster/metadata.ts'
import { resolveKafkaOptions } from '../../src/transport/kafka/options.ts'
import { LogReader } from '../../src/transport/kafka/reading/log-reader.ts'
import type { FetchedPartition } from '../../src/transport/kafka/reading/fetch-api.ts'
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

function batchAt(offset: number, value: string, term = 0): Buffer {
  const records = [{ topic, value: Buffer.from(value) }] as MessageRecord[]
  const batch = Buffer.from(createRecordsBatch(records, {}).buffer)
  batch.writeBigInt64BE(BigInt(offset), 0)
  batch.writeInt32BE(term, 12)
  return batch
}

function damaged(batch: Buffer): Buffer {
  batch[batch.length - 2] = batch.at(-2)! ^ 1
  return batch
}

/** A partition that is paused: what is answered for it, the test says. */
function open(of = topic) {
  const values: string[] = []
  const troubles: string[][] = []
  const errors: string[] = []
  const restarts: number[] = []
  const reader = new LogReader(connections, metadata, {
    onRecords: (records) => values.push(...records.map(({ value }) => String(value))),
    onTrouble: (list) => troubles.push(list.map(({ kind }) => kind)),
    onRestart: ({ position }) => restarts.push(position),
    onError: ({ message }) => errors.push(message),
  })
  const partition = reader.add({ topic: of, partition: 0 }, 0)
  reader.pause(partition)
  return {
    reader,
    partition,
    values,
    troubles,
    errors,
    restarts,
    /** Without records. */
    told(answer: Partial<FetchedPartition>) {
      const nothing = {
        errorCode: 0,
        highWatermark: 2,
        lastStable: 2,
        aborted: undefined,
        records: undefined,
      }
      const together = { sentAt: performance.now(), memory: new AnswerMemory(1_000_000), isFirst: true }
      reader.take(partition, { topic, partition: 0, ...nothing, ...answer }, together)
    },
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

  test('waits a moment for a new leader that does not know yet how far its log is committed (KIP-207)', async () => {
    await using reading = open()
    const { partition } = reading
    const { leader } = partition
    const before = performance.now()
    reading.told({ errorCode: 78 })
    assert.equal(partition.leader, leader, 'nobody else is looked for')
    assert.ok(
      partition.notBefore > before && partition.notBefore < before + 1_000,
      String(partition.notBefore),
    )
    assert.deepEqual([reading.troubles, reading.errors], [[], []])
  })

  test('looks for the leader again, and reports nothing, when a broker does not know the topic by its id', async () => {
    for (const errorCode of [100, 103]) {
      await using reading = open()
      reading.told({ errorCode })
      assert.equal(reading.partition.leader, -1)
      await until('metadata has said who leads', () => reading.partition.leader !== -1)
      assert.deepEqual([reading.troubles, reading.errors], [[], []])
    }
  })

  test('goes on where its log and the leader part, and begins anew there, when the log was cut (KIP-320)', async () => {
    await using reading = open()
    const { partition } = reading
    const terms = [batchAt(0, 'a', 1), batchAt(1, 'b', 1), batchAt(2, 'c', 3), batchAt(3, 'd', 3)]
    reading.answer(Buffer.concat(terms))
    assert.deepEqual([partition.position, partition.lastEpoch], [4, 3])
    // Its own term 2 goes on to offset 9: but what was read from 2 on was of term 3, which it does not have.
    reading.told({ diverging: { epoch: 2, endOffset: 9 } })
    await until('reading goes on', () => reading.restarts.length === 1)
    assert.deepEqual([partition.position, partition.lastEpoch], [2, 2])
    assert.deepEqual(reading.restarts, [2])
    assert.match(reading.errors[0]!, /offsets 2 to 3 were read and not in the log any more/)
    // Asked again with that, it says that they part earlier.
    reading.told({ diverging: { epoch: 1, endOffset: 1 } })
    await until('reading goes on', () => reading.restarts.length === 2)
    assert.deepEqual([partition.position, partition.lastEpoch, reading.restarts], [1, 1, [2, 1]])
    reading.answer(batchAt(1, 'B', 4))
    assert.deepEqual([partition.position, partition.lastEpoch], [2, 4])
  })

  test('takes a topic that was made anew for no log that was cut, or has expired, where fetches name topics', async () => {
    const name = 'anew'
    await writer.createTopic(name)
    const unwatch = metadata.watch(name)
    await metadata.refresh()
    await using reading = open(name)
    const { partition } = reading
    reading.answer(Buffer.concat([batchAt(0, 'a'), batchAt(1, 'b')]))
    const asked = mock.method(metadata, 'describeAt', () =>
      Promise.resolve([{ errorCode: 0, id: 'another' }]),
    )
    try {
      for (const answer of [{ diverging: { epoch: 0, endOffset: 1 } }, { errorCode: 1 }]) {
        const before = asked.mock.callCount()
        if ('errorCode' in answer) partition.lastEpoch = -1
        reading.told(answer)
        await until('its leader is asked', () => asked.mock.callCount() > before)
        await until('it is fetched again', () => partition.notBefore < performance.now())
        assert.deepEqual([partition.position, reading.restarts, reading.errors], [2, [], []])
      }
      broker.deleteTopic(name)
      await writer.createTopic(name)
      reading.told({ diverging: { epoch: 0, endOffset: 1 } })
      await until('it begins anew', () => reading.restarts.length > 0)
      assert.deepEqual([partition.position, reading.restarts, reading.errors.length], [0, [0], 1])
      assert.match(reading.errors[0]!, /the topic was deleted and created again/)
    } finally {
      asked.mock.restore()
      unwatch()
    }
  })

  test('asks once more without a term when a log whose terms are not known refuses the position', async () => {
    await using reading = open()
    const { partition } = reading
    reading.answer(batchAt(0, 'a', 5))
    reading.told({ errorCode: 1 })
    assert.deepEqual([partition.position, partition.lastEpoch, partition.resets], [1, -1, 0])
    reading.answer(batchAt(1, 'b', 5))
    assert.deepEqual([reading.values, partition.lastEpoch, reading.errors], [['a', 'b'], -1, []])
  })

  test('has a trouble while a transaction of somebody else keeps it, and none when that has ended', async () => {
    await using reading = open()
    const clock = mock.method(performance, 'now')
    const start = performance.now()
    const at = (milliseconds: number): void => clock.mock.mockImplementation(() => start + milliseconds)
    try {
      reading.answer(batchAt(0, 'a'))
      const open = { highWatermark: 5, lastStable: 1 }
      at(0)
      reading.told(open)
      at(29_000)
      reading.told(open)
      assert.deepEqual(reading.troubles, [])
      at(31_000)
      reading.told(open)
      assert.deepEqual(reading.troubles, [['transaction-open']])
      assert.match(reading.errors[0]!, /a transaction that began at offset 1 has been open/)
      reading.told({ highWatermark: 5, lastStable: 5 })
      assert.deepEqual(reading.troubles, [['transaction-open'], []])
    } finally {
      clock.mock.restore()
    }
  })
})
