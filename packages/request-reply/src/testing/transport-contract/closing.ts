import assert from 'node:assert/strict'
import { Collector, MemberLog } from '../collector.ts'
import { numbers, sendAll, text, type Bench } from './bench.ts'
import { joinsAlone } from './joining.ts'

export function describeClosing(bench: Bench): void {
  const { describe, it } = bench
  describe('close', () => {
    it('ends tails and memberships, and hands over nothing afterwards', async () => {
      const transport = await bench.connect()
      const other = await bench.connect()
      const topic = await bench.topic(1)
      const tail = new Collector()
      const member = new MemberLog('member')
      await transport.tail({ topic, partitions: [0], from: 'latest', onRecords: tail.onRecords })
      await transport.join(member.options({ groupId: bench.freshName('group'), topics: [topic] }))
      await member.holds(1)
      await sendAll(other, topic, numbers(0, 3), 0)
      await Promise.all([tail.count(3), member.count(3)])
      await transport.close()
      assert.deepEqual(member.events, [`+${topic}/0`, `-${topic}/0`])
      const witness = new Collector()
      await other.tail({ topic, partitions: [0], from: 'latest', onRecords: witness.onRecords })
      await sendAll(other, topic, numbers(0, 20), 0)
      await witness.count(20)
      assert.deepEqual([tail.records.length, member.records.length], [3, 3])
    })

    it('lets members finish and commit first', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      const groupId = bench.freshName('group')
      await sendAll(transport, topic, numbers(0, 4), 0)
      const member = new MemberLog('member')
      const membership = await transport.join(member.options({ groupId, topics: [topic] }))
      await member.count(4)
      member.beforeRelease = (partitions) => membership.commit(member.nextOffsets(partitions))
      await transport.close()
      const other = await bench.connect()
      assert.deepEqual(
        (await other.readCommittedOffsets(groupId, [topic])).map(({ offset }) => offset),
        [4],
      )
    })

    it('ends tails at once, and says so, while members still drain', async () => {
      const transport = await bench.connect()
      const other = await bench.connect()
      const topic = await bench.topic(1)
      const member = new MemberLog('member')
      const drained = Promise.withResolvers<void>()
      const draining = Promise.withResolvers<void>()
      member.beforeRelease = () => {
        draining.resolve()
        return drained.promise
      }
      const collector = new Collector()
      const told: string[] = []
      const tail = await transport.tail({
        topic,
        partitions: [0],
        from: 'latest',
        onRecords: collector.onRecords,
        onTrouble: (troubles) => told.push(troubles.map(({ kind }) => kind).join()),
      })
      await transport.join(member.options({ groupId: bench.freshName('group'), topics: [topic] }))
      await member.holds(1)
      const closed = transport.close()
      assert.deepEqual(told, ['closed'])
      await tail.caughtUp()
      await draining.promise
      await other.send(text(topic, 'v', 0))
      await member.count(1)
      assert.deepEqual(collector.records, [])
      drained.resolve()
      await closed
      assert.deepEqual(
        tail.troubles().map(({ kind }) => kind),
        ['closed'],
      )
    })

    it('leaves its partitions to the others at once', async () => {
      const [first, second] = await Promise.all([bench.connect(), bench.connect()])
      const topic = await bench.topic(2)
      const groupId = bench.freshName('group')
      const [a, b] = [new MemberLog('a'), new MemberLog('b')]
      // So long that only a clean leave can explain what follows.
      const options = { groupId, topics: [topic], sessionTimeout: 300_000, rebalanceTimeout: 300_000 }
      await first.join(a.options(options))
      await second.join(b.options(options))
      await Promise.all([a.holds(1), b.holds(1)])
      await first.close()
      await b.holds(2)
    })

    it('settles every send: acknowledged, or rejected as closed', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(2)
      const sends = numbers(0, 100).map((value) => transport.send(text(topic, value)))
      const results = Promise.allSettled(sends)
      await transport.close()
      const acknowledged = new Set<string>()
      for (const result of await results)
        if (result.status === 'fulfilled')
          acknowledged.add(`${result.value.partition}@${result.value.offset}`)
        else assert.match(String(result.reason?.code), /^MILENA_(CLOSED|SEND_UNKNOWN)$/)
      const seen = new Collector()
      const other = await bench.connect()
      await other.tail({ topic, partitions: 'all', from: 'earliest', onRecords: seen.onRecords })
      await seen.conditions.until('what was acknowledged is there', () => {
        const there = new Set(seen.records.map(({ partition, offset }) => `${partition}@${offset}`))
        return [...acknowledged].every((at) => there.has(at))
      })
    })

    it('ends what is being opened: it is closed, or never was', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      const groupId = bench.freshName('group')
      const options = { groupId, topics: [topic], sessionTimeout: 300_000, rebalanceTimeout: 300_000 }
      const tail = transport.tail({ topic, partitions: 'all', from: 'latest', onRecords: () => {} })
      const join = transport.join(new MemberLog('ghost').options(options))
      const rejected = [tail, join].map((opening) => assert.rejects(opening, { code: 'MILENA_CLOSED' }))
      await transport.close()
      await Promise.all(rejected)
      // No ghost is left in the group, whose session somebody would have to wait for.
      const member = new MemberLog('member')
      await joinsAlone(await bench.connect(), member, member.options(options), 1)
    })

    it('rejects everything afterwards, and can be asked again', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      await transport.close()
      await transport.close()
      const closed = { code: 'MILENA_CLOSED' }
      const options = { from: 'latest', onRecords: () => {} } as const
      await assert.rejects(transport.send(text(topic, 'v')), { ...closed, sent: 'no' })
      await assert.rejects(transport.tail({ topic, partitions: 'all', ...options }), closed)
      await assert.rejects(
        transport.join(new MemberLog('m').options({ groupId: 'g', topics: [topic] })),
        closed,
      )
      await assert.rejects(transport.describeTopics(), closed)
      await assert.rejects(transport.createTopics([{ name: 'x', partitions: 1 }]), closed)
      await assert.rejects(transport.deleteTopics(['x']), closed)
      await assert.rejects(transport.readCommittedOffsets('g', [topic]), closed)
      await assert.rejects(transport.writeCommittedOffsets('g', []), closed)
    })
  })
}
