/**
 * What the in-memory broker can do beyond the transport contract: crashes, cuts and faults, under a clock of one's own.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createMemoryBroker, type MemoryBroker } from '../src/transport/memory/broker.ts'
import type { MemoryTransport } from '../src/transport/memory/transport.ts'
import type { SendFate } from '../src/transport/memory/faults.ts'
import type { GroupMembership, GroupOptions } from '../src/transport/transport.ts'
import { MemberLog } from '../src/testing/collector.ts'
import { ManualClock } from './manual-clock.ts'
import { numbers, text } from '../src/testing/transport-contract/bench.ts'

interface Setup {
  readonly broker: MemoryBroker
  readonly clock: ManualClock
  readonly connect: () => MemoryTransport
  readonly join: (
    transport: MemoryTransport,
    member: MemberLog,
    options?: Partial<GroupOptions>,
  ) => Promise<GroupMembership>
}

function setUp(): Setup {
  const clock = new ManualClock()
  const broker = createMemoryBroker({ clock, random: () => 0.9, topics: [{ name: 't', partitions: 2 }] })
  return {
    broker,
    clock,
    connect: () => broker.connect(),
    join: (transport, member, options = {}) =>
      during(clock, transport.join(member.options({ groupId: 'g', topics: ['t'], ...options }))),
  }
}

/** What a promise comes to while the clock stands at this moment. */
async function during<T>(clock: ManualClock, promise: Promise<T>): Promise<T> {
  await clock.advance(0)
  return promise
}

async function outcomeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'acknowledged'
  } catch (error) {
    return String((error as { code?: string }).code)
  }
}

describe('in-memory broker', () => {
  it('does nothing before the clock’s next tick, not even with no latency at all', async () => {
    const { broker, clock, connect } = setUp()
    const seen: string[] = []
    await during(
      clock,
      connect().tail({
        topic: 't',
        partitions: 'all',
        from: 'latest',
        onRecords: (records) => seen.push(...records.map(({ value }) => String(value))),
      }),
    )
    const sent = connect().send(text('t', 'v', 0))
    await Promise.resolve()
    assert.deepEqual([broker.records('t').length, seen.length], [0, 0])
    await clock.advance(0)
    await sent
    assert.deepEqual(seen, ['v'])
  })

  it('takes as long as its latency says, each way', async () => {
    const { broker, clock } = setUp()
    const transport = broker.connect({ latency: 10 })
    let acknowledgedAt = -1
    void transport.send(text('t', 'v', 0)).then(() => (acknowledgedAt = clock.monotonic()))
    await clock.advance(9)
    assert.equal(broker.records('t').length, 0)
    await clock.advance(1)
    assert.equal(broker.records('t').length, 1)
    await clock.advance(100)
    assert.equal(acknowledgedAt, 20)
  })

  it('does to a record what the fault says', async () => {
    const expected: Record<SendFate, [outcome: string, records: number]> = {
      deliver: ['acknowledged', 1],
      duplicate: ['acknowledged', 2],
      'not-sent': ['MILENA_NOT_SENT', 0],
      unknown: ['MILENA_SEND_UNKNOWN', 0],
      'unknown-appended': ['MILENA_SEND_UNKNOWN', 1],
      lost: ['acknowledged', 0],
    }
    for (const [fate, [outcome, records]] of Object.entries(expected)) {
      const { broker, clock, connect } = setUp()
      broker.faults = { send: () => ({ fate: fate as SendFate }) }
      assert.equal(await during(clock, outcomeOf(connect().send(text('t', 'v', 0)))), outcome, fate)
      assert.equal(broker.records('t').length, records, fate)
    }
  })

  it('keeps the order of a partition when one of its records is held up, and lets other partitions pass', async () => {
    const { broker, clock, connect } = setUp()
    broker.faults = { send: ({ value }) => (String(value) === 'slow' ? { delay: 50 } : undefined) }
    const transport = connect()
    const sends = [text('t', 'slow', 0), text('t', 'behind', 0), text('t', 'beside', 1)]
    const all = Promise.all(sends.map((record) => transport.send(record)))
    await clock.advance(10)
    assert.deepEqual(
      broker.records('t').map(({ value }) => String(value)),
      ['beside'],
    )
    await clock.advance(50)
    await all
    assert.deepEqual(
      broker.records('t').map(({ value }) => String(value)),
      ['slow', 'behind', 'beside'],
    )
  })

  it('lets partitions overtake each other on the way to a reader, never records of one', async () => {
    const { broker, clock, connect } = setUp()
    broker.faults = { deliveryDelay: ({ partition }) => (partition === 0 ? 30 : 0) }
    const seen: string[] = []
    const transport = connect()
    const onRecords = (records: readonly { value: Buffer | null }[]): void =>
      void seen.push(...records.map(({ value }) => String(value)))
    await during(clock, transport.tail({ topic: 't', partitions: 'all', from: 'latest', onRecords }))
    for (const value of numbers(0, 3)) void transport.send(text('t', `a${value}`, 0))
    void transport.send(text('t', 'b', 1))
    await clock.advance(100)
    assert.deepEqual(seen, ['b', 'a0', 'a1', 'a2'])
  })

  it('leaves it open what became of the sends of a process that died', async () => {
    for (const chance of [0.1, 0.9]) {
      const clock = new ManualClock()
      const broker = createMemoryBroker({
        clock,
        random: () => chance,
        topics: [{ name: 't', partitions: 2 }],
      })
      const transport = broker.connect()
      const outcome = outcomeOf(transport.send(text('t', 'v', 0)))
      transport.kill()
      assert.equal(await during(clock, outcome), 'MILENA_SEND_UNKNOWN')
      assert.equal(broker.records('t').length, chance < 0.5 ? 1 : 0)
      assert.equal(await during(clock, outcomeOf(transport.send(text('t', 'v', 0)))), 'MILENA_CLOSED')
    }
  })

  it('hands a dead process nothing, and its partitions to others once its session has timed out', async () => {
    const { clock, connect, join } = setUp()
    const [a, b] = [new MemberLog('a'), new MemberLog('b')]
    const [first, second] = [connect(), connect()]
    const membership = await join(first, a, { sessionTimeout: 5_000 })
    await join(second, b)
    assert.deepEqual([a.held.size, b.held.size], [1, 1])
    first.kill()
    for (const partition of [0, 1]) void second.send(text('t', `p${partition}`, partition))
    await clock.advance(4_999)
    assert.deepEqual([a.records.length, b.held.size, b.records.length], [0, 1, 1])
    assert.notEqual(await during(clock, outcomeOf(membership.commit([]))), 'acknowledged')
    await clock.advance(1)
    assert.deepEqual([a.records.length, b.held.size, b.records.length], [0, 2, 2])
    await during(clock, membership.close())
    await during(clock, first.close())
  })

  it('makes a member that was cut off for too long lose its partitions, refuses what it commits, and takes it back', async () => {
    const { broker, clock, connect, join } = setUp()
    const [a, b] = [new MemberLog('a'), new MemberLog('b')]
    const [first, second] = [connect(), connect()]
    for (const partition of [0, 1])
      for (const value of numbers(0, 3)) void second.send(text('t', value, partition))
    const zombie = await join(first, a, { sessionTimeout: 5_000 })
    await clock.advance(0)
    assert.equal(a.records.length, 6)
    await join(second, b)
    const kept = Number([...a.held][0]!.split('/')[1])
    first.disconnect(8_000)
    const late = outcomeOf(zombie.commit([{ topic: 't', partition: kept, offset: 1 }]))
    await clock.advance(4_999)
    assert.deepEqual([a.held.size, b.held.size], [1, 1], 'its session lasts')
    await clock.advance(1)
    assert.equal(b.held.size, 2)
    const lost = (): string[] => a.events.filter((event) => event.startsWith('!'))
    assert.deepEqual(lost(), [`!t/${kept}`], 'by its own clock, though nobody could tell it')
    await clock.advance(3_000)
    assert.equal(await late, 'MILENA_COMMIT_FENCED')
    assert.deepEqual(broker.committed('g'), [])
    assert.deepEqual(lost(), [`!t/${kept}`])
    await clock.advance(0)
    assert.deepEqual([a.held.size, b.held.size], [1, 1], 'it has joined again')
  })

  it('does not let the late end of a letting-go touch what a member holds by then', async () => {
    const { broker, clock, connect, join } = setUp()
    const [a, b] = [new MemberLog('a'), new MemberLog('b')]
    const [first, second] = [connect(), connect()]
    const drained = Promise.withResolvers<void>()
    const membership = await join(first, a, { sessionTimeout: 5_000, drainTimeout: 60_000 })
    a.beforeRelease = () => drained.promise
    const other = await join(second, b)
    assert.deepEqual([a.held.size, a.leaving.size], [1, 1])
    // Cut off for longer than its session while it lets go of one; nobody else is there when it comes back.
    first.disconnect(8_000)
    await during(clock, other.close())
    await clock.advance(8_000)
    assert.equal(a.events.filter((event) => event.startsWith('!')).length, 2)
    assert.deepEqual([a.held.size, membership.troubles()], [2, []])
    drained.resolve()
    await clock.advance(0)
    for (const partition of [0, 1]) {
      assert.equal(broker.owner('g', { topic: 't', partition })?.clientId, first.clientId)
      void second.send(text('t', 'v', partition))
    }
    await clock.advance(0)
    assert.equal(a.records.length, 2)
  })

  it('says of a member that is cut off that it hears no coordinator, then that it lost its place, until it has one', async () => {
    const { clock, connect, join } = setUp()
    const [member, transport] = [new MemberLog('member'), connect()]
    const seen: string[][] = []
    const options = { sessionTimeout: 40_000 }
    const membership = await join(transport, member, {
      ...options,
      onTrouble: (troubles) => void seen.push(troubles.map(({ kind }) => kind)),
    })
    const since = clock.now()
    transport.disconnect(45_000)
    await clock.advance(29_999)
    assert.deepEqual(membership.troubles(), [])
    await clock.advance(1)
    assert.deepEqual(
      membership.troubles().map((trouble) => [trouble.kind, trouble.since]),
      [['unreachable', since]],
    )
    await clock.advance(15_000)
    assert.deepEqual(membership.troubles(), [])
    assert.deepEqual(seen, [['unreachable'], ['unreachable', 'not-a-member'], ['not-a-member'], []])
    assert.deepEqual(
      member.errors.map((error) => 'code' in error && error.code),
      ['MILENA_BROKER_UNREACHABLE', 'MILENA_COMMIT_FENCED'],
    )
  })

  it('takes a static member out whose joining is ended, and none that had joined by then', async () => {
    for (const joined of [false, true]) {
      const { broker, clock, connect, join } = setUp()
      const [a, heir] = [new MemberLog('a'), new MemberLog('heir')]
      const stop = new AbortController()
      const options = { groupInstanceId: 'worker', sessionTimeout: 300_000, signal: stop.signal }
      const slow = broker.connect({ latency: 10 })
      const joining = slow.join(a.options({ groupId: 'g', topics: ['t'], ...options }))
      // After 10 ms it is known to the group, after 20 ms it knows.
      await clock.advance(joined ? 20 : 10)
      stop.abort()
      if (!joined) {
        const outcome = outcomeOf(joining)
        await clock.advance(20)
        assert.equal(await outcome, 'MILENA_CLOSED')
      }
      await join(connect(), heir)
      await clock.advance(100)
      assert.deepEqual([a.held.size, heir.held.size], joined ? [1, 1] : [0, 2])
    }
  })

  it('moves nothing when the cut is shorter than the session, and delivers what waited', async () => {
    const { broker, clock, connect, join } = setUp()
    const member = new MemberLog('member')
    const transport = connect()
    const membership = await join(transport, member, { sessionTimeout: 5_000 })
    const told = member.events.length
    transport.disconnect(4_000)
    const committed = outcomeOf(membership.commit([{ topic: 't', partition: 0, offset: 0 }]))
    const sent = outcomeOf(transport.send(text('t', 'v', 0)))
    await clock.advance(3_999)
    assert.equal(broker.records('t').length, 0)
    await clock.advance(1)
    assert.deepEqual(
      [await committed, await sent, member.events.length],
      ['acknowledged', 'acknowledged', told],
    )
    await clock.advance(10_000)
    assert.deepEqual(member.values, ['v'])
  })

  it('gives a send up at its deadline: not sent, or unknown when it had reached the log', async () => {
    const { broker, clock } = setUp()
    const transport = broker.connect({ deliveryTimeout: 1_000 })
    broker.faults = { send: ({ partition }) => (partition === 0 ? { delay: 5_000 } : { ackDelay: 5_000 }) }
    const outcomes = [0, 1].map((partition) => outcomeOf(transport.send(text('t', 'v', partition))))
    await clock.advance(1_000)
    assert.deepEqual(await Promise.all(outcomes), ['MILENA_NOT_SENT', 'MILENA_SEND_UNKNOWN'])
    await clock.advance(10_000)
    assert.deepEqual(
      broker.records('t').map(({ partition }) => partition),
      [1],
      'what was called not sent never comes',
    )
  })

  it('tells a member that another has come under its instance id', async () => {
    const { clock, connect, join } = setUp()
    const [a, b] = [new MemberLog('a'), new MemberLog('b')]
    const first = await join(connect(), a, { groupInstanceId: 'worker' })
    await join(connect(), b, { groupInstanceId: 'worker' })
    await clock.advance(0)
    assert.match(String(a.errors[0]), /FENCED_INSTANCE_ID/)
    assert.deepEqual([a.held.size, b.held.size], [0, 2])
    assert.equal(
      await during(clock, outcomeOf(first.commit([{ topic: 't', partition: 0, offset: 1 }]))),
      'MILENA_COMMIT_FENCED',
    )
  })
})
