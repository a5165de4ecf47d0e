import assert from 'node:assert/strict'
import { until } from '../until.ts'
import type { GroupMembership, Transport } from '../../transport/transport.ts'
import { MemberLog } from '../collector.ts'
import { numbers, sendAll, type Bench } from './bench.ts'

/** Where members of a group begin, and what their commits may say of it. */
export function describePositions(bench: Bench): void {
  const { describe, it } = bench
  describe('positions of a group', () => {
    it('are not set back by a commit that is left over from before the partition was assigned', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      const groupId = bench.freshName('group')
      await sendAll(transport, topic, numbers(0, 10), 0)
      const before = new MemberLog('before')
      const first = await transport.join(before.options({ groupId, topics: [topic] }))
      await before.count(10)
      await first.commit([{ topic, partition: 0, offset: 8 }])
      await first.close()
      const member = new MemberLog('now')
      const now = await transport.join(member.options({ groupId, topics: [topic] }))
      await member.count(2)
      await assert.rejects(now.commit([{ topic, partition: 0, offset: 3 }]), {
        code: 'MILENA_COMMIT_FENCED',
        message: /less than the 8 that the group had committed/,
      })
      assert.deepEqual(await committed(transport, groupId, topic), [8])
      await now.commit([{ topic, partition: 0, offset: 10 }])
      assert.deepEqual(await committed(transport, groupId, topic), [10])
    })

    it('from the latest: a successor misses nothing that came before the first commit', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(2)
      const groupId = bench.freshName('group')
      await sendAll(transport, topic, ['before'], 0)
      const a = new MemberLog('a')
      const first = await transport.join(a.options({ groupId, topics: [topic], from: 'latest' }))
      await until('its starts are committed', () =>
        committed(transport, groupId, topic).then(
          (offsets) => offsets.length === 2,
          () => false,
        ),
      )
      await first.close()
      await sendAll(transport, topic, ['between'], 0)
      const b = new MemberLog('b')
      await transport.join(b.options({ groupId, topics: [topic], from: 'latest' }))
      await b.count(1)
      assert.deepEqual(b.values, ['between'])
    })

    it('from the latest: a partition that is added begins with its first record', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      const member = new MemberLog('member')
      await sendAll(transport, topic, ['before'], 0)
      const options = { groupId: bench.freshName('group'), topics: [topic], from: 'latest' } as const
      await transport.join(member.options(options))
      await bench.addPartitions(topic, 2)
      // Before the group has taken it in.
      await sendAll(transport, topic, ['first of the added one'], 1)
      await member.count(1)
      assert.deepEqual(member.values, ['first of the added one'])
    })

    it('beyond the end of the log begin with the first record, once: what is committed then counts', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      const groupId = bench.freshName('group')
      await sendAll(transport, topic, numbers(0, 5), 0)
      await transport.writeCommittedOffsets(groupId, [{ topic, partition: 0, offset: 1000, metadata: 'old' }])
      const first = new MemberLog('first')
      const membership = await transport.join(first.options({ groupId, topics: [topic] }))
      await first.count(5)
      await membership.commit([{ topic, partition: 0, offset: 5 }])
      assert.deepEqual(await committed(transport, groupId, topic), [5])
      await membership.close()
      const second = new MemberLog('second')
      await transport.join(second.options({ groupId, topics: [topic] }))
      await sendAll(transport, topic, ['new'], 0)
      await second.count(1)
      assert.deepEqual(second.values, ['new'])
    })

    it('begin anew with a topic that is made anew while it is read, and so do commits', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      const groupId = bench.freshName('group')
      await sendAll(transport, topic, numbers(0, 6), 0)
      const before = new MemberLog('before')
      const first = await transport.join(before.options({ groupId, topics: [topic] }))
      await before.count(6)
      await first.commit([{ topic, partition: 0, offset: 5 }])
      await first.close()
      const member = new MemberLog('member')
      const lost: (string | undefined)[] = []
      const options = member.options({ groupId, topics: [topic] })
      const membership: GroupMembership = await transport.join({
        ...options,
        onLost(partitions, why) {
          lost.push(why)
          options.onLost(partitions, why)
        },
      })
      await member.count(1)
      await transport.deleteTopics([topic])
      await transport.createTopics([{ name: topic, partitions: 1 }])
      await sendAll(transport, topic, ['new 0', 'new 1'], 0)
      await member.count(3)
      assert.deepEqual(member.values.slice(1), ['new 0', 'new 1'])
      assert.deepEqual(lost, ['log-gone'])
      // Less than the group had committed of the old one.
      await membership.commit([{ topic, partition: 0, offset: 2 }])
      assert.deepEqual(await committed(transport, groupId, topic), [2])
    })
  })
}

async function committed(transport: Transport, groupId: string, topic: string): Promise<number[]> {
  return (await transport.readCommittedOffsets(groupId, [topic])).map(({ offset }) => offset)
}
