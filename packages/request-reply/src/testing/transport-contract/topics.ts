import assert from 'node:assert/strict'
import { sendAll, type Bench } from './bench.ts'

export function describeTopics(bench: Bench): void {
  const { describe, it } = bench
  describe('topics', () => {
    it('describes those that exist and leaves out those that do not, without creating them', async () => {
      const transport = await bench.connect()
      const [three, one] = [await bench.topic(3), await bench.topic(1)]
      const missing = bench.freshName('missing')
      const found = await transport.describeTopics([three, missing, one])
      assert.deepEqual([...found.keys()].toSorted(), [three, one].toSorted())
      assert.deepEqual(found.get(three), { name: three, partitions: 3 })
      const all = await transport.describeTopics()
      assert.equal(all.get(one)?.partitions, 1)
      assert.equal(all.has(missing), false)
      assert.equal((await transport.describeTopics([])).size, 0)
    })

    it('creates topics that can be used at once, and leaves alone what exists', async () => {
      const transport = await bench.connect()
      const other = await bench.connect()
      const name = bench.freshName('created')
      await transport.createTopics([{ name, partitions: 2, configs: { 'retention.ms': '60000' } }])
      const [position] = await sendAll(other, name, ['v'], 1)
      assert.deepEqual(position, { topic: name, partition: 1, offset: 0 })
      await transport.createTopics([{ name, partitions: 5 }])
      assert.equal((await transport.describeTopics([name])).get(name)?.partitions, 2)
      await transport.deleteTopics([name])
    })

    it('creates the new ones among topics of which some exist', async () => {
      const transport = await bench.connect()
      const existing = await bench.topic(1)
      const name = bench.freshName('created')
      await transport.createTopics([
        { name: existing, partitions: 1 },
        { name, partitions: 1 },
      ])
      assert.equal((await transport.describeTopics([existing, name])).size, 2)
      await transport.deleteTopics([name])
    })

    it('rejects a topic that cannot be, and says why', async () => {
      const transport = await bench.connect()
      await assert.rejects(transport.createTopics([{ name: 'no spaces', partitions: 1 }]), {
        code: 'MILENA_BROKER_ERROR',
        message: /no spaces/,
      })
    })

    it('deletes topics, missing ones included', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      await transport.deleteTopics([bench.freshName('missing'), topic])
      assert.equal((await transport.describeTopics([topic])).size, 0)
      await assert.rejects(sendAll(transport, topic, ['v']), { code: 'MILENA_TOPIC_MISSING' })
    })
  })
}

export function describeCommittedOffsets(bench: Bench): void {
  const { describe, it } = bench
  describe('committed offsets', () => {
    it('keeps offset and text for a group without members, the last one written', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(3)
      const groupId = bench.freshName('committed')
      await transport.writeCommittedOffsets(groupId, [
        { topic, partition: 0, offset: 1, metadata: 'first' },
        { topic, partition: 2, offset: 7, metadata: 'größer' },
      ])
      await transport.writeCommittedOffsets(groupId, [{ topic, partition: 0, offset: 2, metadata: '' }])
      const other = await bench.connect()
      const committed = await other.readCommittedOffsets(groupId, [topic])
      assert.deepEqual(
        committed.toSorted((a, b) => a.partition - b.partition),
        [
          { topic, partition: 0, offset: 2, metadata: '' },
          { topic, partition: 2, offset: 7, metadata: 'größer' },
        ],
      )
    })

    it('reads nothing for a group that never was, and only the topics that were asked for', async () => {
      const transport = await bench.connect()
      const [one, two] = [await bench.topic(1), await bench.topic(1)]
      assert.deepEqual(await transport.readCommittedOffsets(bench.freshName('never'), [one]), [])
      const groupId = bench.freshName('committed')
      await transport.writeCommittedOffsets(groupId, [
        { topic: one, partition: 0, offset: 1, metadata: 'one' },
        { topic: two, partition: 0, offset: 2, metadata: 'two' },
      ])
      assert.deepEqual(await transport.readCommittedOffsets(groupId, [two]), [
        { topic: two, partition: 0, offset: 2, metadata: 'two' },
      ])
      assert.deepEqual(await transport.readCommittedOffsets(groupId, []), [])
    })

    it('takes a text of 4096 bytes and rejects a longer one', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      const groupId = bench.freshName('committed')
      const committed = { topic, partition: 0, offset: 1 }
      await transport.writeCommittedOffsets(groupId, [{ ...committed, metadata: 'x'.repeat(4096) }])
      await assert.rejects(
        transport.writeCommittedOffsets(groupId, [{ ...committed, metadata: 'x'.repeat(4097) }]),
        {
          code: 'MILENA_BROKER_ERROR',
        },
      )
      assert.equal((await transport.readCommittedOffsets(groupId, [topic]))[0]?.metadata.length, 4096)
    })
  })
}
