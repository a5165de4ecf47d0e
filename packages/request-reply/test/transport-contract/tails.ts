import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Collector } from '../collector.ts'
import { numbers, sendAll, text, type Bench } from './bench.ts'

export function describeTails(bench: Bench): void {
  describe('tail', () => {
    it('is at its position when it resolves: what is sent next is read, what was sent before is not', async () => {
      const transport = await bench.connect()
      const other = await bench.connect()
      const topic = await bench.topic(2)
      for (let round = 0; round < 20; round++) {
        await sendAll(other, topic, [`before-${round}`], round % 2)
        const seen = new Collector()
        const tail = await transport.tail({
          topic,
          partitions: 'all',
          from: 'latest',
          onRecords: seen.onRecords,
        })
        await Promise.all([0, 1].map((partition) => other.send(text(topic, `after-${round}`, partition))))
        await seen.count(2)
        assert.deepEqual(seen.values, [`after-${round}`, `after-${round}`])
        await tail.close()
      }
    })

    it('reads from the first record when asked to', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      await sendAll(transport, topic, numbers(0, 50), 0)
      const seen = new Collector()
      await transport.tail({ topic, partitions: [0], from: 'earliest', onRecords: seen.onRecords })
      await sendAll(transport, topic, numbers(50, 100), 0)
      await seen.count(100)
      assert.deepEqual(seen.values, numbers(0, 100))
    })

    it('reads only the partitions that it was given', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(4)
      const seen = new Collector()
      await transport.tail({ topic, partitions: [1, 3], from: 'latest', onRecords: seen.onRecords })
      await Promise.all(
        [0, 1, 2, 3].map((partition) => transport.send(text(topic, `p${partition}`, partition))),
      )
      await sendAll(transport, topic, ['end'], 1)
      await sendAll(transport, topic, ['end'], 3)
      await seen.count(4)
      assert.deepEqual(
        [seen.valuesOf(1), seen.valuesOf(3)],
        [
          ['p1', 'end'],
          ['p3', 'end'],
        ],
      )
      assert.equal(seen.records.length, 4)
    })

    it('reads every record once and in order, however many are sent at once', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(3)
      const seen = new Collector()
      const batches: number[][] = []
      await transport.tail({
        topic,
        partitions: 'all',
        from: 'latest',
        onRecords: (records) => {
          batches.push(records.map(({ partition }) => partition))
          seen.onRecords(records)
        },
      })
      const senders = await Promise.all([bench.connect(), bench.connect()])
      await Promise.all(senders.map((sender) => sendAll(sender, topic, numbers(0, 900))))
      await seen.count(1800)
      assert.equal(seen.records.length, 1800)
      for (const partition of [0, 1, 2]) {
        const offsets = seen.records
          .filter((record) => record.partition === partition)
          .map(({ offset }) => offset)
        assert.deepEqual(offsets, [...offsets.keys()])
      }
      for (const batch of batches) assert.equal(new Set(batch).size, 1, 'one call brings one partition')
    })

    it('reads everything in each of several tails: there is no group', async () => {
      const topic = await bench.topic(2)
      const tails = [new Collector(), new Collector(), new Collector()]
      const transports = await Promise.all([bench.connect(), bench.connect()])
      for (const [i, { onRecords }] of tails.entries())
        await transports[i % 2]!.tail({ topic, partitions: 'all', from: 'latest', onRecords })
      await sendAll(transports[0], topic, numbers(0, 20))
      for (const seen of tails) {
        await seen.count(20)
        assert.deepEqual(seen.values.toSorted(), numbers(0, 20).toSorted())
      }
    })

    it('reads a record of nearly the largest size', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      const seen = new Collector()
      await transport.tail({ topic, partitions: [0], from: 'latest', onRecords: seen.onRecords })
      const value = Buffer.alloc(1_000_000, 'abc')
      await Promise.all([1, 2, 3].map(() => transport.send({ ...text(topic, '', 0), value })))
      await seen.count(3)
      for (const record of seen.records) assert.ok(record.value?.equals(value))
    })

    it('takes in a partition that is added later, from its first record', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      const all = new Collector()
      const first = new Collector()
      await transport.tail({ topic, partitions: 'all', from: 'latest', onRecords: all.onRecords })
      await transport.tail({ topic, partitions: [0], from: 'latest', onRecords: first.onRecords })
      await bench.addPartitions(topic, 3)
      const other = await bench.connect()
      await sendAll(other, topic, numbers(0, 10), 2)
      await sendAll(other, topic, ['end'], 0)
      await all.count(11)
      assert.deepEqual(all.valuesOf(2), numbers(0, 10))
      await first.count(1)
      assert.deepEqual(first.values, ['end'])
    })

    it('hands over nothing after close, while other tails go on', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      const closed = new Collector()
      const open = new Collector()
      const tail = await transport.tail({
        topic,
        partitions: [0],
        from: 'latest',
        onRecords: closed.onRecords,
      })
      await transport.tail({ topic, partitions: [0], from: 'latest', onRecords: open.onRecords })
      await sendAll(transport, topic, numbers(0, 5), 0)
      await closed.count(5)
      const closing = tail.close()
      await sendAll(transport, topic, numbers(5, 50), 0)
      await closing
      await open.count(50)
      assert.equal(closed.records.length, 5)
      await tail.close()
    })

    it('rejects a missing topic, and a partition that the topic does not have', async () => {
      const transport = await bench.connect()
      const missing = bench.freshName('missing')
      const options = { from: 'latest', onRecords: () => {} } as const
      await assert.rejects(transport.tail({ topic: missing, partitions: 'all', ...options }), {
        code: 'MILENA_TOPIC_MISSING',
        message: new RegExp(missing),
      })
      await assert.rejects(transport.tail({ topic: missing, partitions: [0], ...options }), {
        code: 'MILENA_TOPIC_MISSING',
      })
      const topic = await bench.topic(2)
      await assert.rejects(transport.tail({ topic, partitions: [0, 2], ...options }), {
        code: 'MILENA_PARTITION_MISSING',
      })
      assert.equal((await transport.describeTopics([missing])).size, 0)
    })

    it('tells once of a deleted topic and reads it again when it is back', async () => {
      const transport = await bench.connect()
      const other = await bench.connect()
      const topic = await bench.topic(2)
      const seen = new Collector()
      await transport.tail({
        topic,
        partitions: 'all',
        from: 'latest',
        onRecords: seen.onRecords,
        onError: seen.onError,
      })
      await sendAll(other, topic, ['old'], 0)
      await seen.count(1)
      await other.deleteTopics([topic])
      await seen.conditions.until('the deletion is told', () => seen.errors.length > 0)
      await other.createTopics([{ name: topic, partitions: 2 }])
      await sendAll(other, topic, ['new-0'], 0)
      await sendAll(other, topic, ['new-1'], 1)
      await seen.count(3)
      assert.deepEqual([...seen.valuesOf(0), ...seen.valuesOf(1)], ['old', 'new-0', 'new-1'])
      assert.deepEqual(
        seen.errors.map((error) => 'code' in error && error.code),
        ['MILENA_TOPIC_MISSING'],
      )
    })
  })
}
