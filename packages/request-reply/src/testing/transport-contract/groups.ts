import assert from 'node:assert/strict'
import { until } from '../until.ts'
import type { GroupMembership } from '../../transport/transport.ts'
import { Conditions, MemberLog } from '../collector.ts'
import { numbers, sendAll, type Bench } from './bench.ts'

export function describeGroups(bench: Bench): void {
  const { describe, it } = bench
  describe('group', () => {
    it('gives a lone member every partition, and tells it so before their first records', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(4)
      await sendAll(transport, topic, numbers(0, 40))
      const member = new MemberLog('member')
      await transport.join(member.options({ groupId: bench.freshName('group'), topics: [topic] }))
      await member.holds(4)
      await sendAll(transport, topic, numbers(40, 80))
      await member.count(80)
      assert.deepEqual(
        member.values.map(Number).toSorted((a, b) => a - b),
        numbers(0, 80).map(Number),
      )
      assert.deepEqual(
        member.events.toSorted(),
        [0, 1, 2, 3].map((partition) => `+${topic}/${partition}`),
      )
    })

    it('knows how many records it has not handed over: what comes beyond one answer, until all was read', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      const large = 'x'.repeat(200_000)
      await sendAll(transport, topic, Array<string>(20).fill(large), 0)
      const member = new MemberLog('member')
      const left: number[] = []
      const options = member.options({ groupId: bench.freshName('group'), topics: [topic] })
      const { promise: joined, resolve } = Promise.withResolvers<GroupMembership>()
      const membership = await transport.join({
        ...options,
        onRecords(records, after) {
          options.onRecords(records, after)
          void joined.then((one) => left.push(one.unread!()))
        },
      })
      resolve(membership)
      await member.count(20)
      await until('all was read', () => membership.unread!() === 0)
      assert.ok(
        left.every((count) => count >= 0 && count < 20),
        left.join(' '),
      )
    })

    it('is at its positions when it has joined: what is sent from then on is read, and known to be new', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      await sendAll(transport, topic, numbers(0, 5))
      for (const from of ['latest', 'earliest'] as const) {
        const member = new MemberLog('member')
        const options = member.options({ groupId: bench.freshName('group'), topics: [topic], from })
        const after = new Map<string, number | undefined>()
        let joined = false
        let early = 0
        const membership = await transport.join({
          ...options,
          onRecords(records, appendedAfter) {
            if (!joined) early++
            for (const { value } of records) after.set(String(value), appendedAfter)
            options.onRecords(records, appendedAfter)
          },
        })
        joined = true
        await sendAll(transport, topic, [`after joining ${from}`])
        const acknowledged = performance.now()
        await until('what was sent is read', () => after.has(`after joining ${from}`))
        if (from === 'earliest') assert.equal(after.get('0'), undefined, 'a backlog is of any age')
        const known = after.get(`after joining ${from}`)
        assert.ok(known !== undefined && known <= acknowledged, `${known}, acknowledged at ${acknowledged}`)
        assert.equal(early, 0, 'nothing is handed over before whoever joins has the member in hand')
        await membership.close()
      }
    })

    it('reads several topics at once', async () => {
      const transport = await bench.connect()
      const topics = [await bench.topic(2), await bench.topic(1)]
      const member = new MemberLog('member')
      await transport.join(member.options({ groupId: bench.freshName('group'), topics }))
      await member.holds(3)
      for (const topic of topics) await sendAll(transport, topic, [topic])
      await member.count(2)
      assert.deepEqual(member.values.toSorted(), topics.toSorted())
    })

    it('begins where the group has committed, and where nothing was, at the given start', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(2)
      const groupId = bench.freshName('group')
      await sendAll(transport, topic, numbers(0, 10), 0)
      await sendAll(transport, topic, numbers(10, 20), 1)

      const first = new MemberLog('first')
      const membership = await transport.join(first.options({ groupId, topics: [topic] }))
      await first.count(20)
      await membership.commit([{ topic, partition: 0, offset: 4 }])
      await membership.close()

      const early = new MemberLog('early')
      const again = await transport.join(early.options({ groupId, topics: [topic] }))
      await early.count(16)
      assert.deepEqual(early.valuesOf(0), numbers(4, 10))
      assert.deepEqual(early.valuesOf(1), numbers(10, 20))
      await again.close()

      const late = new MemberLog('late')
      await transport.join(late.options({ groupId, topics: [topic], from: 'latest' }))
      await late.holds(2)
      await late.count(6)
      await sendAll(transport, topic, ['end'], 1)
      await late.count(7)
      assert.deepEqual(late.valuesOf(0), numbers(4, 10))
      assert.deepEqual(late.valuesOf(1), ['end'])
    })

    it('keeps the metadata of a commit, and tells the next owner of both before the first records', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(3)
      const groupId = bench.freshName('group')
      for (const partition of [0, 1, 2]) await sendAll(transport, topic, numbers(0, 4), partition)
      const first = new MemberLog('first')
      const membership = await transport.join(first.options({ groupId, topics: [topic] }))
      await first.count(12)
      assert.deepEqual(first.committed, [], 'nothing was committed')
      await membership.commit([
        { topic, partition: 0, offset: 1, metadata: 'left over' },
        { topic, partition: 1, offset: 1, metadata: 'first' },
      ])
      // The offset is the same, and what is said of it is not.
      await membership.commit([{ topic, partition: 1, offset: 1, metadata: 'größer' }])
      await membership.commit([{ topic, partition: 0, offset: 3 }])
      await membership.close()

      const second = new MemberLog('second')
      await transport.join(second.options({ groupId, topics: [topic] }))
      await second.count(1 + 3 + 4)
      assert.deepEqual(
        second.committed.toSorted((a, b) => a.partition - b.partition),
        [
          { topic, partition: 0, offset: 3, metadata: '' },
          { topic, partition: 1, offset: 1, metadata: 'größer' },
        ],
      )
      const all = [0, 1, 2].map((partition) => `+${topic}/${partition}`)
      assert.deepEqual(second.events.toSorted(), all, 'it was told of each before it read it')
    })

    it('refuses more metadata than 4096 characters, and commits nothing of that partition', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      const groupId = bench.freshName('group')
      await sendAll(transport, topic, numbers(0, 3), 0)
      const first = new MemberLog('first')
      const membership = await transport.join(first.options({ groupId, topics: [topic] }))
      await first.count(3)
      const at = { topic, partition: 0, offset: 1 }
      await membership.commit([{ ...at, metadata: 'é'.repeat(4_096) }])
      await assert.rejects(membership.commit([{ ...at, offset: 2, metadata: 'e'.repeat(4_097) }]), {
        code: 'MILENA_BROKER_ERROR',
        message: /OFFSET_METADATA_TOO_LARGE/,
        retryable: false,
      })
      await membership.close()
      const second = new MemberLog('second')
      await transport.join(second.options({ groupId, topics: [topic] }))
      await second.count(2)
      assert.equal(second.committed[0]?.metadata, 'é'.repeat(4_096))
    })

    it('has committed nothing in a topic that was deleted and made anew', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      const groupId = bench.freshName('group')
      await sendAll(transport, topic, numbers(0, 3), 0)
      const first = new MemberLog('first')
      const membership = await transport.join(first.options({ groupId, topics: [topic] }))
      await first.count(3)
      await membership.commit([{ topic, partition: 0, offset: 1, metadata: 'of the old one' }])
      await membership.close()
      await transport.deleteTopics([topic])
      await until('the offsets are gone with the topic', () =>
        transport.readCommittedOffsets(groupId, [topic]).then(
          (committed) => committed.length === 0,
          () => false,
        ),
      )
      await transport.createTopics([{ name: topic, partitions: 1 }])
      await sendAll(transport, topic, numbers(10, 13), 0)
      const second = new MemberLog('second')
      await transport.join(second.options({ groupId, topics: [topic] }))
      await second.count(3)
      assert.deepEqual(second.values, numbers(10, 13))
      assert.deepEqual(second.committed, [])
    })

    it('lets each group read everything', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(2)
      const members = [new MemberLog('a'), new MemberLog('b')]
      for (const member of members)
        await transport.join(member.options({ groupId: bench.freshName('group'), topics: [topic] }))
      await sendAll(transport, topic, numbers(0, 20))
      for (const member of members) await member.count(20)
      for (const member of members) assert.equal(member.records.length, 20)
    })

    it('pauses one partition while others go on, and resumes it where it stopped', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(2)
      const member = new MemberLog('member')
      const membership = await transport.join(
        member.options({ groupId: bench.freshName('group'), topics: [topic] }),
      )
      await member.holds(2)
      await sendAll(transport, topic, numbers(0, 5), 0)
      await member.count(5)
      membership.pause({ topic, partition: 0 })
      // What is on its way may still come, now or later: this much, and no more, before the pause is felt.
      await sendAll(transport, topic, ['felt'], 0)
      await sendAll(transport, topic, numbers(0, 50), 1)
      await member.conditions.until('the other partition is read', () => member.valuesOf(1).length === 50)
      await sendAll(transport, topic, numbers(5, 10), 0)
      await sendAll(transport, topic, numbers(50, 100), 1)
      await member.conditions.until('the other partition is read', () => member.valuesOf(1).length === 100)
      const before = member.valuesOf(0)
      assert.deepEqual(before, [...numbers(0, 5), 'felt'].slice(0, before.length))
      membership.resume({ topic, partition: 0 })
      await member.count(111)
      assert.deepEqual(member.valuesOf(0), [...numbers(0, 5), 'felt', ...numbers(5, 10)])
    })

    it('hands what was not committed to the next member', async () => {
      const topic = await bench.topic(1)
      const groupId = bench.freshName('group')
      const transport = await bench.connect()
      await sendAll(transport, topic, numbers(0, 6), 0)
      const first = new MemberLog('first')
      const membership = await transport.join(first.options({ groupId, topics: [topic] }))
      await first.count(6)
      await membership.commit([{ topic, partition: 0, offset: 2 }])
      await transport.close()
      const second = new MemberLog('second')
      await (await bench.connect()).join(second.options({ groupId, topics: [topic] }))
      await second.count(4)
      assert.deepEqual(second.values, numbers(2, 6))
    })

    it('rejects a missing topic, which is not created by it', async () => {
      const transport = await bench.connect()
      const missing = bench.freshName('missing')
      const member = new MemberLog('member')
      await assert.rejects(
        transport.join(member.options({ groupId: bench.freshName('group'), topics: [missing] })),
        { code: 'MILENA_TOPIC_MISSING', message: new RegExp(missing) },
      )
      assert.equal((await transport.describeTopics([missing])).size, 0)
    })

    it('tells of a deleted topic and goes on with the others', async () => {
      const transport = await bench.connect()
      const other = await bench.connect()
      const [gone, kept] = [await bench.topic(1), await bench.topic(1)]
      const member = new MemberLog('member')
      const lost: unknown[] = []
      const options = member.options({ groupId: bench.freshName('group'), topics: [gone, kept] })
      const membership = await transport.join({
        ...options,
        onLost(partitions, why) {
          lost.push(...partitions.map(({ topic }) => [topic, why]))
          options.onLost(partitions, why)
        },
      })
      await member.holds(2)
      assert.deepEqual(membership.troubles(), [])
      const before = Date.now()
      await other.deleteTopics([gone])
      await member.conditions.until('the deletion is told', () => member.errors.length > 0)
      assert.match(member.errors[0]!.message, new RegExp(gone))
      assert.equal('code' in member.errors[0]! && member.errors[0].code, 'MILENA_TOPIC_MISSING')
      await sendAll(other, kept, numbers(0, 10))
      await member.count(10)
      // It has gone to nobody: nothing of it can be committed, and its name may come back as another topic's.
      await member.holds(1)
      assert.deepEqual(lost, [[gone, 'log-gone']])

      // A state for as long as it lasts, whoever held its partitions; it ends when the topic is there again.
      await member.conditions.until('it is a trouble', () => member.troubles.length > 0)
      const [trouble] = membership.troubles()
      assert.deepEqual([trouble?.kind, trouble?.topic], ['topic-missing', gone])
      assert.ok(trouble!.since >= before && trouble!.since <= Date.now(), String(trouble!.since))
      await other.createTopics([{ name: gone, partitions: 1 }])
      await member.conditions.until('the trouble is over', () => member.troubles.length === 0)
      await member.holds(2)
      await sendAll(other, gone, ['anew'], 0)
      await member.count(11)
    })

    it('says of a member whose transport was closed that it is, and that does not end', async () => {
      const transport = await bench.connect()
      const member = new MemberLog('member')
      const options = { groupId: bench.freshName('group'), topics: [await bench.topic(1)] }
      const membership = await transport.join(member.options(options))
      await member.holds(1)
      let told: readonly string[] = []
      member.beforeRelease = () => {
        told = member.troubles.map(({ kind }) => kind)
        return Promise.resolve()
      }
      await transport.close()
      assert.deepEqual(told, ['closed'], 'before its partitions are let go of')
      assert.deepEqual(
        membership.troubles().map(({ kind }) => kind),
        ['closed'],
      )
    })

    it('has let go of everything when its session is over, though nobody can tell it', async () => {
      const conditions = new Conditions()
      const [a, b] = [new MemberLog('a', conditions), new MemberLog('b', conditions)]
      const [first, second] = await Promise.all([bench.connect(), bench.connect()])
      const topic = await bench.topic(2)
      // The shortest session that brokers take by default.
      const options = { groupId: bench.freshName('group'), topics: [topic], sessionTimeout: 6_000 }
      const membership = await first.join(a.options(options))
      await a.holds(2)
      const [cutFor, cutAt] = [20_000, performance.now()]
      bench.cutOff(first, cutFor)
      await conditions.until('a has let go of everything', () => a.held.size === 0)
      assert.ok(performance.now() - cutAt < cutFor, 'by its own clock')
      assert.deepEqual(
        a.events.slice(2).toSorted(),
        [0, 1].map((partition) => `!${topic}/${partition}`),
      )
      await conditions.until('a is told why', () => a.errors.length > 0)
      assert.equal((a.errors[0] as { code?: string }).code, 'MILENA_COMMIT_FENCED')
      assert.match(a.errors[0]!.message, /within the session timeout of 6000 ms/)
      assert.deepEqual(
        membership.troubles().map(({ kind }) => kind),
        ['not-a-member'],
      )
      await second.join(b.options(options))
      await b.holds(2)
      for (const partition of [0, 1]) await sendAll(second, topic, ['v'], partition)
      await b.count(2)
      assert.deepEqual(a.records, [], 'nothing is handed over beside its successor')
      await Promise.all([a.holds(1), b.holds(1)])
      assert.deepEqual(membership.troubles(), [])
    })

    it('ends a member whose instance id another has taken, and says so', async () => {
      const conditions = new Conditions()
      const [a, b] = [new MemberLog('a', conditions), new MemberLog('b', conditions)]
      const [first, second] = await Promise.all([bench.connect(), bench.connect()])
      const topic = await bench.topic(1)
      const options = { groupId: bench.freshName('group'), topics: [topic], groupInstanceId: 'worker' }
      const membership = await first.join(a.options(options))
      await a.holds(1)
      await second.join(b.options(options))
      await conditions.until('a has lost it', () => a.events.includes(`!${topic}/0`))
      await conditions.until('a is told why', () => a.errors.length > 0)
      assert.equal((a.errors[0] as { code?: string }).code, 'MILENA_COMMIT_FENCED')
      assert.match(a.errors[0]!.message, /worker/)
      assert.deepEqual(
        membership.troubles().map(({ kind }) => kind),
        ['not-a-member'],
      )
      await membership.close()
      await sendAll(second, topic, ['v'], 0)
      await b.count(1)
      assert.deepEqual(b.errors, [], 'whoever has the name keeps it when the other is closed')
    })
  })
}
