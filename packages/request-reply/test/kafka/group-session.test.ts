/** A member that loses its coordinator and nothing else: until when it may hold what it was given. */
import assert from 'node:assert/strict'
import { afterEach, describe, mock, test } from 'node:test'
import { startEmbeddedKafka } from '@milena/embedded-kafka'
import { GroupCoordinator, type Identity } from '../../src/transport/kafka/group/coordinator-requests.ts'
import { Session } from '../../src/transport/kafka/group/session.ts'
import { openKafka } from '../../src/transport/kafka/kafka-transport.ts'
import type { Transport } from '../../src/transport/transport.ts'
import { Conditions, keyOf, MemberLog } from '../../src/testing/collector.ts'
import { cutOff } from './cut-off.ts'

const topic = 'work'
const groupId = 'workers'
const session = { sessionTimeout: 1_000, heartbeatInterval: 200 }
const open: (() => Promise<void>)[] = []

afterEach(async () => {
  mock.restoreAll()
  for (const close of open.splice(0).toReversed()) await close()
})

describe('a session', () => {
  test('lasts for its timeout after the last question that was answered, counted from when it was asked', () => {
    const one = new Session(10_000)
    assert.equal(one.lasts(0), false, 'nothing was answered')
    one.answered(5_000)
    assert.equal(one.lasts(14_999), true)
    assert.equal(one.lasts(15_000), false)
    // Answers overtake each other: an older question proves no more than it did.
    one.answered(4_000)
    assert.equal(one.lasts(14_999), true)
    one.answered(9_000)
    assert.equal(one.lasts(18_999), true)
    one.end()
    assert.equal(one.lasts(9_001), false)
  })

  test('is in doubt after the process was held up, until a question is answered that was asked since', () => {
    const start = performance.now()
    const one = new Session(10_000)
    one.answered(start)
    assert.equal(one.look(start + 100), false)
    assert.equal(one.trusted(start + 100), true)
    assert.equal(one.look(start + 6_000), true)
    assert.equal(one.lasts(start + 6_000), true)
    assert.equal(one.trusted(start + 6_000), false)
    assert.equal(one.answered(start + 90), false, 'asked before it was held up')
    assert.equal(one.trusted(start + 6_001), false)
    assert.equal(one.answered(start + 6_001), true, 'records were held back')
    assert.equal(one.trusted(start + 6_002), true)
    assert.equal(one.answered(start + 6_003), false, 'none were')
  })
})

test('a member that cannot reach its coordinator lets go when its session is over by its own clock', async () => {
  const broker = await startEmbeddedKafka({ groups: { minSessionTimeoutMs: 1_000 }, topics: [`${topic}:2`] })
  open.push(() => broker.close())
  const connect = async (): Promise<Transport> => {
    const transport = await openKafka({ brokers: broker.brokers })
    open.push(() => transport.close())
    return transport
  }
  const conditions = new Conditions()
  const [a, b] = [new MemberLog('a', conditions), new MemberLog('b', conditions)]
  const [first, second] = [await connect(), await connect()]
  const options = { groupId, topics: [topic], ...session }
  const membership = await first.join(a.options(options))
  await a.holds(2)
  let mended = false
  await cutOff(() => mended)
  await conditions.until('a has let go of everything', () => a.held.size === 0)
  assert.deepEqual(
    a.events.slice(2).toSorted(),
    [0, 1].map((partition) => `!${topic}/${partition}`),
    'as lost: it may be handled beside by whoever has it now',
  )
  await conditions.until('that is told', () => a.errors.length > 0)
  assert.match(
    a.errors[0]!.message,
    /group workers: no coordinator has answered this member within .* 1000 ms/,
  )
  assert.deepEqual(
    membership.troubles().map(({ kind }) => kind),
    ['not-a-member'],
  )

  await second.join(b.options(options))
  await b.holds(2)
  const send = (partition: number): Promise<unknown> =>
    second.send({ topic, partition, key: null, value: Buffer.from(`for ${partition}`), headers: [] })
  for (const partition of [0, 1]) await send(partition)
  await b.count(2)
  assert.deepEqual(a.records.map(keyOf), [], 'nothing is handed over beside its successor')

  mended = true
  await Promise.all([a.holds(1), b.holds(1)])
  assert.deepEqual(membership.troubles(), [])
})

/** What a member that holds everything asks, from when another one comes, if its session ends while it waits for `late`. */
async function askedWhenOverDuring(late: 'join' | 'sync'): Promise<{ asked: string[]; holds: number[] }> {
  const broker = await startEmbeddedKafka({ topics: [`${topic}:2`] })
  open.push(() => broker.close())
  const conditions = new Conditions()
  const logs = ['a', 'b'].map((name) => new MemberLog(name, conditions)) as [MemberLog, MemberLog]
  const [a, b] = logs
  const asked: string[] = []
  let first: GroupCoordinator | undefined
  let isOver = false
  // oxlint-disable-next-line typescript/unbound-method
  const lasts = Session.prototype.lasts as (...args: unknown[]) => boolean
  mock.method(Session.prototype, 'lasts', function (this: Session, ...args: unknown[]) {
    return !isOver && lasts.apply(this, args)
  })
  for (const what of ['heartbeat', 'join', 'sync'] as const) {
    const original = GroupCoordinator.prototype[what] as (...args: unknown[]) => Promise<unknown>
    mock.method(
      GroupCoordinator.prototype,
      what,
      async function (this: GroupCoordinator, ...args: unknown[]) {
        first ??= this // oxlint-disable-line typescript/no-this-alias
        if (this === first) asked.push(what === 'heartbeat' ? `as ${(args[0] as Identity).generation}` : what)
        const answer = await original.apply(this, args)
        if (this !== first || what !== late || b.held.size > 0 || a.held.size < 2) return answer
        isOver = true
        await conditions.until('a has let go of everything', () => a.held.size === 0)
        isOver = false
        asked.push('answered late')
        return answer
      },
    )
  }
  for (const log of logs) {
    const transport = await openKafka({ brokers: broker.brokers })
    open.push(() => transport.close())
    await transport.join(log.options({ groupId, topics: [topic] }))
    if (log === a) await a.holds(2)
  }
  await conditions.until('both hold something', () => a.held.size > 0 && b.held.size > 0)
  return { asked: asked.slice(asked.indexOf('answered late') + 1), holds: logs.map((log) => log.held.size) }
}

describe('a member whose session is over by its own clock', () => {
  test('while JoinGroup is under way claims what it has lost no longer: it joins again', async () => {
    const { asked, holds } = await askedWhenOverDuring('join')
    assert.deepEqual(asked.filter((what) => !what.startsWith('as')).slice(0, 2), ['join', 'sync'])
    assert.deepEqual(holds, [1, 1])
  })

  test('while SyncGroup is under way takes no assignment of the place that is lost: it joins again', async () => {
    const { asked, holds } = await askedWhenOverDuring('sync')
    assert.ok(!asked.slice(0, asked.indexOf('join')).includes('as -1'), `asked: ${asked.join(', ')}`)
    assert.deepEqual(holds, [1, 1])
  })
})
