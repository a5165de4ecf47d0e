import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startEmbeddedKafka, type EmbeddedKafka } from '@milena/embedded-kafka'
import { MilenaError } from '../../src/errors.ts'
import { Connections } from '../../src/transport/kafka/connection/connections.ts'
import { Metadata } from '../../src/transport/kafka/cluster/metadata.ts'
import { resolveKafkaOptions } from '../../src/transport/kafka/options.ts'
import { LogReader } from '../../src/transport/kafka/reading/log-reader.ts'
import { openTail } from '../../src/transport/kafka/reading/tail.ts'
import type { IncomingRecord, Tail, TailOptions, UnreadableRange } from '../../src/transport/transport.ts'
import { openLogWriter, type LogWriter } from './log-writer.ts'
import { startSilentBroker } from './stub-brokers.ts'
import { until } from './until.ts'

let broker: EmbeddedKafka
let writer: LogWriter
let connections: Connections
let metadata: Metadata

before(async () => {
  broker = await startEmbeddedKafka()
  writer = openLogWriter(broker.brokers)
  connections = new Connections(resolveKafkaOptions({ brokers: broker.brokers }))
  metadata = new Metadata(connections)
})

after(async () => {
  await metadata.close()
  await connections.close()
  await writer.close()
  await broker.close()
})

interface Reading extends AsyncDisposable {
  readonly tail: Tail
  readonly records: IncomingRecord[]
  readonly errors: Error[]
}

async function read(
  topic: string,
  partitions: TailOptions['partitions'] = 'all',
  from: TailOptions['from'] = 'latest',
): Promise<Reading> {
  const records: IncomingRecord[] = []
  const errors: Error[] = []
  const tail = await openTail(connections, metadata, {
    topic,
    partitions,
    from,
    onRecords: (some) => records.push(...some),
    onError: (error) => errors.push(error),
  })
  return { tail, records, errors, [Symbol.asyncDispose]: () => tail.close() }
}

const values = (records: readonly IncomingRecord[]): string[] => records.map((one) => String(one.value))
const numbers = (count: number, prefix = ''): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}${index}`)

describe('a tail', () => {
  test('hands over every record that is sent after it reported ready, and none from before (trap 3)', async () => {
    await writer.createTopic('after-ready')
    for (let round = 0; round < 5; round++) {
      await writer.write([{ topic: 'after-ready', partition: 0, value: 'before' }])
      await using reading = await read('after-ready')
      await writer.write(numbers(10).map((value) => ({ topic: 'after-ready', partition: 0, value })))
      await until('ten records', () => reading.records.length >= 10)
      assert.deepEqual(values(reading.records), numbers(10))
    }
  })

  test('from the earliest: reads what is there, each record once, in the order of its partition', async () => {
    await writer.createTopic('from-earliest', 3)
    const all = [0, 1, 2].flatMap((partition) =>
      numbers(500, `${partition}-`).map((value) => ({ topic: 'from-earliest', partition, value })),
    )
    await writer.write(all)
    await using reading = await read('from-earliest', 'all', 'earliest')
    await until('all records', () => reading.records.length >= 1500)
    for (const partition of [0, 1, 2]) {
      const own = reading.records.filter((one) => one.partition === partition)
      assert.deepEqual(values(own), numbers(500, `${partition}-`))
      assert.deepEqual(
        own.map((one) => one.offset),
        Array.from({ length: 500 }, (_, index) => index),
      )
    }
  })

  test('gives a record as it was sent: key, value, headers, timestamp, size', async () => {
    await writer.createTopic('as-sent')
    await using reading = await read('as-sent')
    const sentAt = Date.now()
    await writer.write([
      { topic: 'as-sent', partition: 0, key: 'k', value: 'value', headers: { first: '1', second: '' } },
      { topic: 'as-sent', partition: 0, key: null, value: '' },
    ])
    await until('two records', () => reading.records.length === 2)
    const [full, bare] = reading.records
    assert.deepEqual(
      { ...full, key: String(full!.key), value: String(full!.value), timestamp: 0 },
      {
        topic: 'as-sent',
        partition: 0,
        offset: 0,
        key: 'k',
        value: 'value',
        headers: [
          [Buffer.from('first'), Buffer.from('1')],
          [Buffer.from('second'), Buffer.alloc(0)],
        ],
        timestamp: 0,
        size: 1 + 5 + 6 + 6,
      },
    )
    assert.ok(full!.timestamp >= sentAt && full!.timestamp <= Date.now())
    assert.equal(bare!.key, null)
    assert.deepEqual(bare!.headers, [])
  })

  for (const compression of ['gzip', 'snappy', 'lz4', 'zstd'] as const) {
    test(`reads what was compressed with ${compression}`, async () => {
      const topic = `compressed-${compression}`
      await writer.createTopic(topic)
      await using reading = await read(topic)
      const sent = numbers(200, 'much the same text, number ')
      await writer.write(
        sent.map((value) => ({ topic, partition: 0, value })),
        compression,
      )
      await until('all records', () => reading.records.length >= 200)
      assert.deepEqual(values(reading.records), sent)
    })
  }

  test('reads only the partitions that it was asked for (trap 4)', async () => {
    await writer.createTopic('one-of-three', 3)
    await using reading = await read('one-of-three', [1])
    await writer.write(
      [0, 1, 2].map((partition) => ({ topic: 'one-of-three', partition, value: `p${partition}` })),
    )
    await until('a record', () => reading.records.length > 0)
    assert.deepEqual(values(reading.records), ['p1'])
  })

  test('of all partitions takes in one that is added later, from its first record', async () => {
    await writer.createTopic('grows', 1)
    await using reading = await read('grows')
    await writer.addPartitions('grows', 2)
    await writer.write(numbers(3).map((value) => ({ topic: 'grows', partition: 1, value })))
    await until('the records of the new partition', () => reading.records.length >= 3)
    assert.deepEqual(values(reading.records), numbers(3))
  })

  test('of a missing topic fails with MILENA_TOPIC_MISSING and names the topic', async () => {
    await assert.rejects(read('nowhere'), (error: MilenaError) => {
      assert.equal(error.code, 'MILENA_TOPIC_MISSING')
      assert.match(error.message, /nowhere/)
      return true
    })
  })

  test('of a partition that the topic does not have fails with MILENA_PARTITION_MISSING (trap N7)', async () => {
    await writer.createTopic('only-two', 2)
    await assert.rejects(read('only-two', [0, 9]), (error: MilenaError) => {
      assert.equal(error.code, 'MILENA_PARTITION_MISSING')
      assert.match(error.message, /only-two.*partition 9.*0 to 1/)
      return true
    })
  })

  test('without any broker fails with MILENA_BROKER_UNREACHABLE', { timeout: 60_000 }, async (context) => {
    const nobody = new Connections(resolveKafkaOptions({ brokers: ['127.0.0.1:1'] }))
    const nothing = new Metadata(nobody)
    context.after(async () => {
      await nothing.close()
      await nobody.close()
    })
    const opening = openTail(nobody, nothing, {
      topic: 't',
      partitions: 'all',
      from: 'latest',
      onRecords: () => {},
    })
    await assert.rejects(opening, { code: 'MILENA_BROKER_UNREACHABLE' })
  })

  test('that is being opened ends when it is told to, whatever a broker does', async (context) => {
    await using silent = await startSilentBroker()
    // Whoever waited for its answer would wait for as long.
    const requestTimeout = 3_600_000
    const hung = new Connections(resolveKafkaOptions({ brokers: [silent.address], requestTimeout }))
    const nothing = new Metadata(hung)
    context.after(async () => {
      await nothing.close()
      await hung.close()
    })
    const abort = new AbortController()
    const options: TailOptions = { topic: 't', partitions: 'all', from: 'latest', onRecords: () => {} }
    const opening = openTail(hung, nothing, options, abort.signal)
    await until('it asks', () => silent.connections > 0)
    abort.abort()
    await assert.rejects(opening, { code: 'MILENA_CLOSED' })
    await assert.rejects(openTail(hung, nothing, options, abort.signal), { code: 'MILENA_CLOSED' })
  })

  test('closes at once while its fetch waits, and hands over nothing after that', async () => {
    await writer.createTopic('closes')
    await using reading = await read('closes')
    await writer.write([{ topic: 'closes', partition: 0, value: 'first' }])
    await until('a record', () => reading.records.length === 1)
    const closing = reading.tail.close()
    await writer.write([{ topic: 'closes', partition: 0, value: 'late' }])
    await closing
    await reading.tail.close()
    assert.deepEqual(values(reading.records), ['first'])
  })

  for (const count of [1, 2]) {
    test(`of a topic (${count} partitions) that is deleted reports it once, goes on when it is there again`, async () => {
      const topic = `deleted-${count}`
      await writer.createTopic(topic, count)
      await using reading = await read(topic)
      await writer.write(numbers(5).map((value) => ({ topic, partition: 0, value })))
      await until('the first records', () => reading.records.length === 5)
      await writer.deleteTopic(topic)
      await until('an error', () => reading.errors.length > 0)
      assert.equal((reading.errors[0] as MilenaError).code, 'MILENA_TOPIC_MISSING')
      assert.match(reading.errors[0]!.message, /deleted/)
      for (let answers = 0; answers < 3; answers++) await metadata.refresh()
      await writer.createTopic(topic, count)
      await writer.write(numbers(3, 'new-').map((value) => ({ topic, partition: 0, value })))
      await until('the new records', () => reading.records.length >= 8)
      assert.deepEqual(values(reading.records), [...numbers(5), ...numbers(3, 'new-')])
      assert.equal(reading.errors.length, 1)
    })
  }

  test('whose next record was deleted goes on at the earliest that is left, and says so', async (context) => {
    await writer.createTopic('trimmed', 1)
    await writer.write(numbers(10).map((value) => ({ topic: 'trimmed', partition: 0, value })))
    const errors: Error[] = []
    const records: IncomingRecord[] = []
    const reader = new LogReader(connections, metadata, {
      onRecords: (some) => records.push(...some),
      onError: (error) => errors.push(error),
    })
    context.after(() => reader.close())
    await writer.deleteRecords('trimmed', 0, 6)
    reader.add({ topic: 'trimmed', partition: 0 }, 2)
    await until('the rest', () => records.length >= 4)
    assert.deepEqual(values(records), ['6', '7', '8', '9'])
    assert.equal(errors.length, 1)
    assert.match(errors[0]!.message, /trimmed, partition 0: offset 2 .* 4 offsets were deleted .* 6$/)
  })

  test('hands over nothing of a partition that was let go of, though its fetch is answered later', async (context) => {
    await writer.createTopic('let-go', 2)
    const records: IncomingRecord[] = []
    const reader = new LogReader(connections, metadata, {
      onRecords: (some) => records.push(...some),
      onError: (error) => assert.fail(error),
    })
    context.after(() => reader.close())
    const before = reader.add({ topic: 'let-go', partition: 0 }, 0)
    const beside = reader.add({ topic: 'let-go', partition: 1 }, 0)
    await until('a fetch waits', () => before.flight !== undefined && before.flight === beside.flight)
    reader.remove(before)
    reader.add({ topic: 'let-go', partition: 0 }, 0)
    await writer.write([{ topic: 'let-go', partition: 0, value: 'once' }])
    await writer.write([{ topic: 'let-go', partition: 1, value: 'end' }])
    await until('the record beside', () => values(records).includes('end'))
    await until('the record', () => values(records).includes('once'))
    assert.deepEqual(values(records).toSorted(), ['end', 'once'])
  })

  test('reads at once what is resumed or added while its fetch of others waits (traps 6, N11)', async (context) => {
    await writer.createTopic('resumed', 3)
    const records: IncomingRecord[] = []
    const reader = new LogReader(connections, metadata, {
      onRecords: (some) => records.push(...some),
      onError: (error) => assert.fail(error),
    })
    context.after(() => reader.close())
    const first = reader.add({ topic: 'resumed', partition: 0 }, 0)
    const second = reader.add({ topic: 'resumed', partition: 1 }, 0)
    await until('a fetch waits', () => first.flight !== undefined && first.flight === second.flight)
    reader.pause(second)
    await writer.write([{ topic: 'resumed', partition: 1, value: 'on its way' }])
    await until('the record that was on its way', () => records.length === 1)
    await until('the next fetch leaves the paused one out', () => first.flight !== undefined)
    assert.equal(second.flight, undefined)
    await writer.write([1, 2].map((partition) => ({ topic: 'resumed', partition, value: `p${partition}` })))
    const parked = first.flight
    reader.resume(second)
    reader.add({ topic: 'resumed', partition: 2 }, 0)
    await until('both', () => records.length === 3)
    assert.equal(first.flight, parked, 'the fetch that waits was not disturbed')
  })

  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    test(`passes over a batch that would become too much (${compression}), and goes on`, async (context) => {
      const topic = `too-much-${compression}`
      await writer.createTopic(topic)
      const limited = new Connections(
        resolveKafkaOptions({ brokers: broker.brokers, maxBatchMemory: 65_536 }),
      )
      const values: string[] = []
      const ranges: UnreadableRange[] = []
      const errors: Error[] = []
      const tail = await openTail(limited, metadata, {
        topic,
        partitions: 'all',
        from: 'latest',
        onRecords: (records) => values.push(...records.map(({ value }) => String(value).slice(0, 9))),
        onUnreadable: (range) => ranges.push(range),
        onError: (error) => errors.push(error),
      })
      context.after(async () => {
        await tail.close()
        await limited.close()
      })
      const write = (...some: string[]): Promise<void> =>
        writer.write(
          some.map((value) => ({ topic, partition: 0, value })),
          compression,
        )
      await write('first')
      await write('x'.repeat(65_000), 'y'.repeat(1_000))
      // Each small enough, but not all of them in one answer.
      for (let batch = 0; batch < 5; batch++) await write(`between ${batch}`.padEnd(30_000))
      await write(...numbers(200))
      await write('last')
      await until('the last', () => values.includes('last'))
      assert.deepEqual(values, ['first', ...numbers(5, 'between '), 'last'])
      assert.deepEqual(
        ranges.map(({ offset, next }) => [offset, next]),
        [
          [1, 3],
          [8, 208],
        ],
      )
      assert.equal(errors.length, 2)
      for (const { message } of errors) assert.match(message, new RegExp(`${topic}.*65536.*maxBatchMemory`))
      assert.deepEqual(tail.troubles(), [])
    })
  }
})
