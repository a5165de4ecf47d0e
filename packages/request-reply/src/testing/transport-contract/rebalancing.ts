import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { GroupMembership } from '../../transport/transport.ts'
import { Conditions, keyOf, MemberLog } from '../collector.ts'
import { numbers, sendAll, text, type Bench } from './bench.ts'

export function describeRebalancing(bench: Bench): void {
  const { describe, it } = bench
  describe('rebalancing', () => {
    it('moves only what must move, and each partition has one reader', async () => {
      const conditions = new Conditions()
      const topic = await bench.topic(6)
      const groupId = bench.freshName('group')
      const [a, b, c] = [
        new MemberLog('a', conditions),
        new MemberLog('b', conditions),
        new MemberLog('c', conditions),
      ]
      const shared: string[] = []
      const join = async (member: MemberLog): Promise<GroupMembership> => {
        const options = member.options({ groupId, topics: [topic] })
        member.beforeRelease = () => sleep(50)
        return (await bench.connect()).join({
          ...options,
          onAssigned(partitions) {
            for (const key of partitions.map(keyOf))
              for (const other of [a, b, c])
                if (other !== member && (other.held.has(key) || other.leaving.has(key)))
                  shared.push(`${key} is ${member.name}’s, and ${other.name} has not let go of it`)
            options.onAssigned!(partitions)
          },
        })
      }
      await join(a)
      await a.holds(6)
      await join(b)
      await b.holds(3)
      await a.holds(3)
      const third = await join(c)
      await Promise.all([a.holds(2), b.holds(2), c.holds(2)])
      assert.equal(new Set([...a.held, ...b.held, ...c.held]).size, 6)
      // Cooperative: of a's six, four went away, and what stayed was never taken from it.
      assert.equal(a.events.filter((event) => event.startsWith('-')).length, 4)
      for (const kept of a.held) assert.ok(!a.events.includes(`-${kept}`), `${kept} was taken from a`)
      await third.close()
      assert.equal(c.held.size, 0)
      await Promise.all([a.holds(3), b.holds(3)])
      assert.equal(new Set([...a.held, ...b.held]).size, 6)
      assert.deepEqual(shared, [])
      for (const member of [a, b, c])
        assert.deepEqual(
          member.events.filter((event) => /^[!?]/.test(event)),
          [],
        )
    })

    it('reads every record exactly once and in order while members join and leave, when each commits in time', async () => {
      const conditions = new Conditions()
      const topic = await bench.topic(6)
      const groupId = bench.freshName('group')
      const seen: MemberLog[] = []
      const arrivals = new Map<number, number[]>()
      const start = async (name: string): Promise<() => Promise<void>> => {
        const transport = await bench.connect()
        const member = new MemberLog(name, conditions)
        seen.push(member)
        const options = member.options({ groupId, topics: [topic] })
        const membership = await transport.join({
          ...options,
          onRecords(records) {
            // What comes while the partition is let go of is left to whoever has it next.
            if (!member.held.has(keyOf(records[0]!))) return
            for (const { partition, offset } of records)
              arrivals.set(partition, [...(arrivals.get(partition) ?? []), offset])
            options.onRecords(records)
          },
          async onRevoked(partitions) {
            for (const partition of partitions) member.held.delete(keyOf(partition))
            await membership.commit(member.nextOffsets(partitions))
            await options.onRevoked(partitions)
          },
        })
        return () => membership.close()
      }
      const total = (): number => seen.reduce((sum, { records }) => sum + records.length, 0)

      await start('a')
      await seen[0]!.holds(6)
      const sender = await bench.connect()
      let sent = 0
      const stop = new AbortController()
      const load = (async () => {
        while (!stop.signal.aborted) {
          await sender.send(text(topic, String(sent), sent % 6))
          sent++
        }
      })()
      try {
        const stopB = await start('b')
        await seen[1]!.holds(3)
        await conditions.until('both read', () => seen[1]!.records.length > 20)
        await start('c')
        await seen[2]!.holds(2)
        await stopB()
        await Promise.all([seen[0]!.holds(3), seen[2]!.holds(3)])
        const so = total()
        await conditions.until('reading goes on', () => total() > so + 50)
      } finally {
        stop.abort()
        await load
      }
      await conditions.until('everything is read', () => total() >= sent)
      assert.equal(total(), sent)
      for (const [partition, offsets] of arrivals)
        assert.deepEqual(offsets, [...offsets.keys()], `partition ${partition}`)
    })

    it('waits for the application before a partition goes to somebody else', async () => {
      const { topic, groupId, conditions, a, b, first, second } = await twoToRead(bench)
      const drained = Promise.withResolvers<void>()
      const membership = await first.join(a.options({ groupId, topics: [topic] }))
      await a.count(10)
      a.beforeRelease = async (partitions) => {
        await drained.promise
        await membership.commit(a.nextOffsets(partitions))
      }
      const joining = second.join(b.options({ groupId, topics: [topic] }))
      await conditions.until('a is asked for a partition', () => a.held.size === 1)
      // The member that is asked still reads both: one slow record does not hold up all others.
      const kept = Number([...a.held][0]!.split('/')[1])
      await sendAll(second, topic, ['meanwhile'], kept)
      await sendAll(second, topic, ['meanwhile'], 1 - kept)
      for (const partition of [kept, 1 - kept])
        await conditions.until('a reads on', () => a.valuesOf(partition).includes('meanwhile'))
      assert.deepEqual(b.events, [])
      drained.resolve()
      await joining
      await b.holds(1)
      await sendAll(second, topic, ['afterwards'], 1 - kept)
      await b.count(1)
      assert.deepEqual(b.values, ['afterwards'], 'it begins where a has committed')
      assert.deepEqual(a.valuesOf(1 - kept), [...numbers(0, 5), 'meanwhile'], 'a reads no more of it')
      assert.deepEqual(
        a.events.filter((event) => /^[!?]/.test(event)),
        [],
      )
    })

    it('hands over no more of a partition that is paused as soon as it is to be let go', async () => {
      const conditions = new Conditions()
      const topic = await bench.topic(2)
      const groupId = bench.freshName('group')
      const [a, b] = [new MemberLog('a', conditions), new MemberLog('b', conditions)]
      const drained = Promise.withResolvers<void>()
      const [first, second] = await Promise.all([bench.connect(), bench.connect()])
      const membership = await first.join(a.options({ groupId, topics: [topic] }))
      await a.holds(2)
      a.beforeRelease = (partitions) => {
        for (const partition of partitions) membership.pause(partition)
        return drained.promise
      }
      const joining = second.join(b.options({ groupId, topics: [topic] }))
      await conditions.until('a is asked for a partition', () => a.held.size === 1)
      const kept = Number([...a.held][0]!.split('/')[1])
      // A fetch under way may bring what comes first, and ends with that.
      await sendAll(second, topic, ['under way'], 1 - kept)
      await sendAll(second, topic, numbers(0, 50), kept)
      await conditions.until('the other partition is read', () => a.valuesOf(kept).length === 50)
      await sendAll(second, topic, numbers(0, 5), 1 - kept)
      await sendAll(second, topic, numbers(50, 100), kept)
      await conditions.until('the other partition is read', () => a.valuesOf(kept).length === 100)
      const got = a.valuesOf(1 - kept)
      assert.deepEqual(got, ['under way'].slice(0, got.length))
      drained.resolve()
      await joining
      await b.count(6)
      assert.deepEqual(b.values, ['under way', ...numbers(0, 5)])
    })

    it('waits for what is being let go of already when it is closed', async () => {
      const { topic, groupId, conditions, a, b, first, second } = await twoToRead(bench)
      const drained = Promise.withResolvers<void>()
      const membership = await first.join(a.options({ groupId, topics: [topic] }))
      await a.count(10)
      const asked: number[] = []
      a.beforeRelease = async (partitions) => {
        asked.push(...partitions.map(({ partition }) => partition))
        // Those that are asked for second are ready at once.
        if (asked.length === 1) await drained.promise
        await membership.commit(a.nextOffsets(partitions))
      }
      const joining = second.join(b.options({ groupId, topics: [topic] }))
      await conditions.until('a is asked for a partition', () => a.held.size === 1)
      let closed = false
      const closing = membership.close().then(() => (closed = true))
      await conditions.until('a is asked for the other', () => a.held.size === 0)
      await sendAll(second, topic, ['meanwhile'], asked[0])
      await conditions.until('a reads on', () => a.valuesOf(asked[0]!).includes('meanwhile'))
      assert.equal(closed, false)
      drained.resolve()
      await Promise.all([closing, joining])
      await b.holds(2)
      await sendAll(second, topic, ['end'], 0)
      await sendAll(second, topic, ['end'], 1)
      await b.count(2)
      assert.deepEqual(b.values, ['end', 'end'], 'both commits were taken')
    })

    it('does not wait longer than the drain timeout, and refuses the commit that comes too late', async () => {
      const { topic, groupId, conditions, a, b, first, second } = await twoToRead(bench)
      const never = Promise.withResolvers<void>()
      a.beforeRelease = () => never.promise
      const old = await first.join(a.options({ groupId, topics: [topic], drainTimeout: 300 }))
      await a.count(10)
      const current = await second.join(b.options({ groupId, topics: [topic] }))
      await b.holds(1)
      await b.count(5)
      const partition = b.records[0]!.partition
      await current.commit([{ topic, partition, offset: 5 }])
      await sendAll(second, topic, ['afterwards'], partition)
      await sendAll(second, topic, ['afterwards'], 1 - partition)
      await conditions.until('both have read on', () =>
        [a.valuesOf(1 - partition), b.values].every((values) => values.includes('afterwards')),
      )
      assert.deepEqual(a.valuesOf(partition), numbers(0, 5), 'nothing more once its time was up')
      await current.commit([{ topic, partition, offset: 6 }])
      await assert.rejects(old.commit([{ topic, partition, offset: 1 }]), { code: 'MILENA_COMMIT_FENCED' })
      never.resolve()
      await Promise.all([first.close(), second.close()])

      const next = new MemberLog('next')
      const third = await bench.connect()
      await third.join(next.options({ groupId, topics: [topic] }))
      await sendAll(third, topic, ['end'], partition)
      await next.conditions.until('the partition is read', () => next.valuesOf(partition).includes('end'))
      assert.deepEqual(next.valuesOf(partition), ['end'], 'the late commit did not set the group back')
    })

    it('refuses a commit for a partition of somebody else and applies those that it may', async () => {
      const conditions = new Conditions()
      const topic = await bench.topic(2)
      const groupId = bench.freshName('group')
      const [a, b] = [new MemberLog('a', conditions), new MemberLog('b', conditions)]
      const [first, second] = await Promise.all([bench.connect(), bench.connect()])
      await sendAll(first, topic, numbers(0, 3), 0)
      await sendAll(first, topic, numbers(0, 3), 1)
      const membership = await first.join(a.options({ groupId, topics: [topic] }))
      await a.holds(2)
      await second.join(b.options({ groupId, topics: [topic] }))
      await Promise.all([a.holds(1), b.holds(1)])
      const foreign = Number([...b.held][0]!.split('/')[1])
      await assert.rejects(membership.commit([{ topic, partition: foreign, offset: 2 }]), {
        code: 'MILENA_COMMIT_FENCED',
        message: new RegExp(topic),
      })
      await membership.commit([{ topic, partition: 1 - foreign, offset: 2 }])
    })

    it('leaves no partition to nobody when a static member dies while it lets go of some', async () => {
      const conditions = new Conditions()
      const topic = await bench.topic(4)
      const options = { groupId: bench.freshName('group'), topics: [topic], drainTimeout: 3_000 }
      const [a, b] = [new MemberLog('a', conditions), new MemberLog('b', conditions)]
      const [first, second, third] = await Promise.all([bench.connect(), bench.connect(), bench.connect()])
      const leaving = Promise.withResolvers<void>()
      const asA = { ...options, groupInstanceId: 'worker-a' }
      await first.join({
        ...a.options(asA),
        onRevoked() {
          leaving.resolve()
          return new Promise<void>(() => {})
        },
      })
      await a.holds(4)
      await second.join(b.options({ ...options, groupInstanceId: 'worker-b' }))
      await leaving.promise
      const dead = first.close()
      const again = new MemberLog('a again', conditions)
      await third.join(again.options(asA))
      await Promise.all([again.holds(2), b.holds(2)])
      assert.equal(new Set([...again.held, ...b.held]).size, 4)
      await dead
    })

    it('keeps a static member’s partitions for it while it restarts', async () => {
      const conditions = new Conditions()
      const topic = await bench.topic(4)
      const groupId = bench.freshName('group')
      const [a, b] = [new MemberLog('a', conditions), new MemberLog('b', conditions)]
      const [first, second] = await Promise.all([bench.connect(), bench.connect()])
      const options = { groupId, topics: [topic], sessionTimeout: 20_000, heartbeatInterval: 200 }
      await first.join(a.options({ ...options, groupInstanceId: 'worker-a' }))
      await second.join(b.options({ ...options, groupInstanceId: 'worker-b' }))
      await Promise.all([a.holds(2), b.holds(2)])
      const before = [[...a.held].toSorted(), [...b.held].toSorted()]
      const told = b.events.length
      await first.close()
      // While it is away: so long that the other member would have heard of a rebalance, and had its partitions.
      await sleep(1_500)
      assert.equal(b.held.size, 2)
      const restarted = new MemberLog('a again', conditions)
      const third = await bench.connect()
      await third.join(restarted.options({ ...options, groupInstanceId: 'worker-a' }))
      await restarted.holds(2)
      for (const partition of [0, 1, 2, 3]) await sendAll(third, topic, ['v'], partition)
      await Promise.all([restarted.count(2), b.count(2)])
      assert.deepEqual([[...restarted.held].toSorted(), [...b.held].toSorted()], before)
      assert.equal(b.events.length, told, 'the other member noticed nothing')
      assert.equal(a.held.size, 0, 'everything was revoked before the place was left')
    })

    it('assigns partitions that are added later', async () => {
      const topic = await bench.topic(1)
      const member = new MemberLog('member')
      const transport = await bench.connect()
      await transport.join(member.options({ groupId: bench.freshName('group'), topics: [topic] }))
      await member.holds(1)
      await bench.addPartitions(topic, 3)
      await member.holds(3)
      const other = await bench.connect()
      await sendAll(other, topic, ['v'], 2)
      await member.count(1)
    })
  })
}

/** A topic with five records in each of its two partitions, and two members to read it. */
async function twoToRead(bench: Bench) {
  const conditions = new Conditions()
  const topic = await bench.topic(2)
  const [first, second] = await Promise.all([bench.connect(), bench.connect()])
  for (const partition of [0, 1]) await sendAll(first, topic, numbers(0, 5), partition)
  const [a, b] = [new MemberLog('a', conditions), new MemberLog('b', conditions)]
  return { topic, groupId: bench.freshName('group'), conditions, a, b, first, second }
}
