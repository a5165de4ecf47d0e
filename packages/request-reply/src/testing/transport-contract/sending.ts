import assert from 'node:assert/strict'
import { Collector } from '../collector.ts'
import { malformedRecords } from './malformed-records.ts'
import { keyed, numbers, sendAll, text, type Bench } from './bench.ts'

export function describeSending(bench: Bench): void {
  const { describe, it } = bench
  describe('send', () => {
    it('keeps key, value and headers byte for byte, in order, with repeated names', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      const seen = new Collector()
      await transport.tail({ topic, partitions: [0], from: 'latest', onRecords: seen.onRecords })
      const before = Date.now()
      const key = Buffer.from([0, 255, 1, 128])
      const value = Buffer.from([0, 254, 10, 13, 195, 40])
      const position = await transport.send({
        topic,
        partition: 0,
        key,
        value,
        headers: [
          [Buffer.from('a'), Buffer.from('1')],
          [Buffer.from('b'), Buffer.alloc(0)],
          [Buffer.from('a'), Buffer.from([0, 255])],
        ],
      })
      await seen.count(1)
      const record = seen.records[0]!
      assert.deepEqual(position, { topic, partition: 0, offset: 0 })
      assert.deepEqual([record.topic, record.partition, record.offset], [topic, 0, 0])
      assert.deepEqual(record.key, key)
      assert.deepEqual(record.value, value)
      assert.deepEqual(
        record.headers.map(([name, bytes]) => [name.toString(), bytes?.toString('hex')]),
        [
          ['a', '31'],
          ['b', ''],
          ['a', '00ff'],
        ],
      )
      assert.equal(record.size, 4 + 6 + (1 + 1) + 1 + (1 + 2))
      assert.ok(record.timestamp >= before - 60_000 && record.timestamp <= Date.now() + 60_000)
    })

    it('tells null from empty in key, value and header value', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      const seen = new Collector()
      await transport.tail({ topic, partitions: [0], from: 'latest', onRecords: seen.onRecords })
      const empty = Buffer.alloc(0)
      await transport.send({
        topic,
        partition: 0,
        key: null,
        value: null,
        headers: [[Buffer.from('h'), null]],
      })
      await transport.send({
        topic,
        partition: 0,
        key: empty,
        value: empty,
        headers: [[Buffer.from('h'), empty]],
      })
      await seen.count(2)
      const shape = seen.records.map((record) => [
        record.key?.length,
        record.value?.length,
        record.headers[0]![1]?.length,
      ])
      assert.deepEqual(shape, [
        [undefined, undefined, undefined],
        [0, 0, 0],
      ])
    })

    it('lets records of one partition stand in the order in which they were given', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(3)
      const seen = new Collector()
      await transport.tail({ topic, partitions: 'all', from: 'latest', onRecords: seen.onRecords })
      const values = numbers(0, 600)
      const positions = await Promise.all(values.map((value, i) => transport.send(text(topic, value, i % 3))))
      await seen.count(600)
      for (const partition of [0, 1, 2]) {
        const expected = values.filter((_, i) => i % 3 === partition)
        assert.deepEqual(seen.valuesOf(partition), expected)
        const offsets = positions.filter((at) => at.partition === partition).map((at) => at.offset)
        assert.deepEqual(offsets, [...expected.keys()])
      }
    })

    it('keeps large values of many sizes apart, one batch after the other', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(3)
      const seen = new Collector()
      await transport.tail({ topic, partitions: 'all', from: 'latest', onRecords: seen.onRecords })
      const values = numbers(0, 60).map((number, i) => `${number};`.repeat(1_000 * (1 + ((i * 7) % 20))))
      // Four at a time: what is sent next is put together while others are under way.
      const send = async (from: number): Promise<void> => {
        for (let i = from; i < values.length; i += 4) await transport.send(text(topic, values[i]!, i % 3))
      }
      await Promise.all([0, 1, 2, 3].map(send))
      await seen.count(values.length)
      const got = [0, 1, 2].flatMap((partition) => seen.valuesOf(partition))
      assert.deepEqual(new Set(got), new Set(values))
    })

    it('puts a key where the default partitioner of Java puts it', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(12)
      // Worked out with org.apache.kafka.common.utils.Utils.murmur2 of Kafka's own tests; see partitioner.test.ts.
      const expected = [
        ['21', -973932308],
        ['foobar', -790332482],
        ['a-little-bit-long-string', -985981536],
        ['a-little-bit-longer-string', -1486304829],
      ] as const
      const positions = await Promise.all(expected.map(([key]) => transport.send(keyed(topic, key, 'v'))))
      assert.deepEqual(
        positions.map(({ partition }) => partition),
        expected.map(([, hash]) => (hash & 0x7fffffff) % 12),
      )
    })

    it('lets a given partition win over the key', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(2)
      for (const partition of [0, 1]) {
        const position = await transport.send({ ...keyed(topic, 'same', 'v'), partition })
        assert.equal(position.partition, partition)
      }
    })

    it('spreads records without a key over all partitions as time goes by', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(4)
      const shares = [0, 0, 0, 0]
      // One after the other: what is given at once may stay together, to fill a batch.
      for (const value of numbers(0, 60)) shares[(await transport.send(text(topic, value))).partition]!++
      for (const share of shares)
        assert.ok(share >= 3, `of 60 records the partitions got ${shares.join(', ')}`)
    })

    it('rejects a record for a missing topic, which is not created by it', async () => {
      const transport = await bench.connect()
      const topic = bench.freshName('missing')
      await assert.rejects(transport.send(text(topic, 'v')), {
        code: 'MILENA_TOPIC_MISSING',
        sent: 'no',
        message: new RegExp(topic),
      })
      assert.equal((await transport.describeTopics([topic])).size, 0)
    })

    it('rejects a record for a partition that the topic does not have, instead of writing it elsewhere', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(2)
      for (const partition of [2, 9, 1000, -1])
        await assert.rejects(transport.send(text(topic, 'v', partition)), {
          code: 'MILENA_PARTITION_MISSING',
          sent: 'no',
        })
      const first = await sendAll(transport, topic, ['v'], 0)
      assert.equal(first[0]!.offset, 0)
    })

    it('rejects a record that is too large and sends its neighbours', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      const large: Promise<unknown> = transport.send({
        ...text(topic, '', 0),
        value: Buffer.alloc(3_000_000, 'x'),
      })
      const small = sendAll(transport, topic, numbers(0, 5), 0)
      await assert.rejects(large, { code: 'MILENA_RECORD_TOO_LARGE', sent: 'no' })
      assert.deepEqual(
        (await small).map(({ offset }) => offset),
        [0, 1, 2, 3, 4],
      )
    })

    it('sends on although other records given in the same tick cannot be sent', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(2)
      const results = await Promise.allSettled([
        transport.send(text(bench.freshName('missing'), 'v')),
        transport.send(text(topic, 'a', 0)),
        transport.send(text(topic, 'b', 7)),
        transport.send(text(topic, 'c', 1)),
        transport.send(text(topic, 'd', 0)),
      ])
      assert.deepEqual(
        results.map(({ status }) => status),
        ['rejected', 'fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
      )
    })

    it('rejects what is no record as not sent, and sends its neighbours', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      const neighbour = transport.send(text(topic, 'v', 0))
      for (const [what, record, words] of malformedRecords(topic))
        await assert.rejects(
          transport.send(record),
          { code: 'MILENA_NOT_SENT', sent: 'no', retryable: false, message: words },
          what,
        )
      assert.equal((await neighbour).offset, 0)
      assert.deepEqual(transport.sending(), { records: 0, bytes: 0 })
    })
  })

  describe('withdraw', () => {
    const takenBack = { code: 'MILENA_NOT_SENT', sent: 'no', outcomeKnown: true, retryable: true }

    for (const known of [false, true])
      it(`takes a record back that was given just now, ${known ? 'also' : 'and not'} where its topic is in use`, async () => {
        const transport = await bench.connect()
        const topic = await bench.topic(2)
        if (known) await sendAll(transport, topic, ['before'], 0)
        const [kept, regretted, keyless] = [text(topic, 'kept', 0), text(topic, 'x', 0), text(topic, 'x')]
        const sent = transport.send(kept)
        const rejected = [regretted, keyless].map((record) =>
          assert.rejects(transport.send(record), takenBack),
        )
        assert.equal(transport.withdraw(regretted), true)
        assert.equal(transport.withdraw(keyless), true)
        assert.equal(transport.sending().records, 1)
        await Promise.all([sent, ...rejected])
        assert.equal(transport.withdraw(regretted), false)
        await sendAll(transport, topic, ['after'], 0)
        await sendAll(transport, topic, ['after'], 1)
        const seen = new Collector()
        await transport.tail({ topic, partitions: 'all', from: 'earliest', onRecords: seen.onRecords })
        await seen.count(known ? 4 : 3)
        assert.deepEqual(seen.valuesOf(0), known ? ['before', 'kept', 'after'] : ['kept', 'after'])
        assert.deepEqual(seen.valuesOf(1), ['after'])
      })

    it('takes no record back that is in the log, or that was never given', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      const record = text(topic, 'v', 0)
      assert.equal(transport.withdraw(record), false)
      await transport.send(record)
      assert.equal(transport.withdraw(record), false)
      assert.equal(transport.withdraw(text(bench.freshName('missing'), 'v')), false)
    })

    it('takes back what it says, whenever it is asked, and leaves the order of the others', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      const seen = new Collector()
      await transport.tail({ topic, partitions: [0], from: 'latest', onRecords: seen.onRecords })
      const kept: string[] = []
      const outcomes: Promise<unknown>[] = []
      for (const value of numbers(0, 400)) {
        const record = text(topic, value, 0)
        const sent = transport.send(record)
        if (Number(value) % 20 === 0) await new Promise(setImmediate)
        if (Number(value) % 3 === 0 && transport.withdraw(record))
          outcomes.push(assert.rejects(sent, takenBack))
        else {
          kept.push(value)
          outcomes.push(sent)
        }
      }
      await Promise.all(outcomes)
      await seen.count(kept.length)
      assert.deepEqual(seen.valuesOf(0), kept)
    })
  })

  describe('sending', () => {
    it('counts what was given until it is in the log, with its bytes', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(2)
      assert.deepEqual(transport.sending(), { records: 0, bytes: 0 })
      const sent = sendAll(transport, topic, Array<string>(50).fill('x'.repeat(1_000)))
      const { records, bytes } = transport.sending()
      assert.equal(records, 50)
      assert.ok(bytes >= 50_000, `${bytes} bytes`)
      await sent
      assert.deepEqual(transport.sending(), { records: 0, bytes: 0 })
    })

    it('counts nothing of what was refused', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      await Promise.allSettled([
        transport.send(text(bench.freshName('missing'), 'v')),
        transport.send(text(topic, 'v', 7)),
        transport.send({ ...text(topic, '', 0), value: Buffer.alloc(3_000_000, 'x') }),
      ])
      assert.deepEqual(transport.sending(), { records: 0, bytes: 0 })
    })
  })
}
