import assert from 'node:assert/strict'
import { Collector } from '../collector.ts'
import type { TailOptions, Trouble } from '../../transport/transport.ts'
import { numbers, sendAll, text, type Bench } from './bench.ts'

export function describeTails(bench: Bench): void {
  const { describe, it } = bench
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

    it('says of records that come when all was read a time before they were appended, of a backlog none', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      await sendAll(transport, topic, ['backlog'], 0)
      const seen = new Collector()
      const times: (number | undefined)[] = []
      await transport.tail({
        topic,
        partitions: [0],
        from: 'earliest',
        onRecords(records, appendedAfter) {
          times.push(...records.map(() => appendedAfter))
          seen.onRecords(records)
        },
      })
      await seen.count(1)
      assert.equal(times[0], undefined)
      const opened = performance.now()
      // It moves on with the reading: sooner or later it is a time after the opening.
      for (let sent = 1; !((times.at(-1) ?? 0) > opened); sent++) {
        await transport.send(text(topic, 'more', 0))
        const acknowledged = performance.now()
        await seen.count(sent + 1)
        const time = times.at(-1)
        assert.ok(time === undefined || time <= acknowledged, `${time} is after ${acknowledged}`)
      }
    })

    it('goes on where another stood, and with what is new in partitions that nobody names', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(3)
      const first = new Collector()
      const before = await transport.tail({
        topic,
        partitions: 'all',
        from: 'earliest',
        onRecords: first.onRecords,
      })
      await sendAll(transport, topic, numbers(0, 7), 0)
      await first.count(7)
      const stood = before.positions()
      assert.deepEqual(
        stood.map(({ partition, offset }) => [partition, offset]),
        [
          [0, 7],
          [1, 0],
          [2, 0],
        ],
      )
      await before.close()
      assert.deepEqual(before.positions(), stood, 'it still says so when it is closed')
      await sendAll(transport, topic, ['missed-0'], 0)
      await sendAll(transport, topic, ['missed-1'], 1)
      await sendAll(transport, topic, ['old'], 2)
      const seen = new Collector()
      const from = stood.filter(({ partition }) => partition < 2)
      const tail = await transport.tail({
        topic,
        partitions: 'all',
        from,
        onRecords: seen.onRecords,
        onError: seen.onError,
      })
      await bench.addPartitions(topic, 4)
      await sendAll(transport, topic, ['new'], 2)
      const other = await bench.connect()
      await sendAll(other, topic, ['first'], 3)
      await seen.count(4)
      assert.deepEqual(
        [0, 1, 2, 3].map((partition) => seen.valuesOf(partition)),
        [['missed-0'], ['missed-1'], ['new'], ['first']],
      )
      assert.deepEqual(
        tail.positions().map(({ offset }) => offset),
        [8, 1, 2, 1],
      )
      assert.deepEqual(seen.errors, [])
    })

    it('begins at the end, and says so, where a position lies beyond it', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      await sendAll(transport, topic, ['old'], 0)
      const seen = new Collector()
      const tail = await transport.tail({
        topic,
        partitions: [0],
        from: [{ topic, partition: 0, offset: 50 }],
        onRecords: seen.onRecords,
        onError: seen.onError,
      })
      assert.deepEqual(tail.positions(), [{ topic, partition: 0, offset: 1 }])
      await sendAll(transport, topic, ['new'], 0)
      await seen.count(1)
      assert.deepEqual(seen.values, ['new'])
      assert.deepEqual(
        seen.errors.map(({ message }) => /offset 50 .* ends before 1/.test(message)),
        [true],
      )
    })

    it('has caught up when everything that stood there at the time was handed over', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(2)
      const seen = new Collector()
      await sendAll(transport, topic, numbers(0, 700), 0)
      const tail = await transport.tail({
        topic,
        partitions: 'all',
        from: 'earliest',
        onRecords: seen.onRecords,
      })
      await tail.caughtUp()
      assert.equal(seen.records.length, 700)
      for (let round = 1; round <= 10; round++) {
        await sendAll(transport, topic, ['more'], round % 2)
        await tail.caughtUp()
        assert.equal(seen.records.length, 700 + round)
      }
      const begun = performance.now()
      for (let round = 0; round < 10; round++) await tail.caughtUp()
      assert.ok(performance.now() - begun < 3_000, 'a fetch that waits for records is not waited for')
      await tail.close()
      await tail.caughtUp()
    })

    it('is in trouble from when its topic is deleted to when it is read again', async () => {
      const transport = await bench.connect()
      const other = await bench.connect()
      const topic = await bench.topic(2)
      const seen = new Collector()
      const told: (readonly Trouble[])[] = []
      const tail = await transport.tail({
        topic,
        partitions: 'all',
        from: 'latest',
        onRecords: seen.onRecords,
        onTrouble(troubles) {
          told.push(troubles)
          seen.conditions.changed()
        },
      })
      assert.deepEqual(tail.troubles(), [])
      const begun = Date.now()
      await other.deleteTopics([topic])
      await seen.conditions.until('it is in trouble', () => told.length > 0)
      const [trouble] = tail.troubles()
      assert.deepEqual(
        tail.troubles().map(({ kind, topic: which, partition }) => [kind, which, partition]),
        [['topic-missing', topic, undefined]],
      )
      assert.equal(told[0], tail.troubles(), 'the same array until it changes')
      assert.equal('code' in trouble!.error && trouble!.error.code, 'MILENA_TOPIC_MISSING')
      assert.ok(trouble!.since >= begun && trouble!.since <= Date.now())
      const caughtUp = tail.caughtUp()
      await other.createTopics([{ name: topic, partitions: 2 }])
      await sendAll(other, topic, ['new'], 1)
      await seen.conditions.until('the trouble is over', () => tail.troubles().length === 0)
      await seen.count(1)
      await caughtUp
      assert.deepEqual(
        told.map((troubles) => troubles.length),
        [1, 0],
      )
    })

    it('is in trouble for good when its transport is closed, not when it is closed itself', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      const told: string[] = []
      const options = (name: string): TailOptions => ({
        topic,
        partitions: 'all',
        from: 'latest',
        onRecords: () => {},
        onTrouble: (troubles) => told.push(`${name} ${troubles.map(({ kind }) => kind).join()}`),
      })
      const closed = await transport.tail(options('closed'))
      const open = await transport.tail(options('open'))
      await closed.close()
      await transport.close()
      assert.deepEqual(told, ['open closed'])
      assert.deepEqual(closed.troubles(), [])
      assert.deepEqual(
        open.troubles().map(({ kind, error }) => [kind, 'code' in error && error.code]),
        [['closed', 'MILENA_CLOSED']],
      )
      await open.caughtUp()
    })
  })
}
