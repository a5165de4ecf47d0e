import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { after, afterEach, before, describe, mock, test } from 'node:test'
import { startEmbeddedKafka, type EmbeddedKafka } from '@milena/embedded-kafka'
import { GroupCoordinator } from '../../src/transport/kafka/group/coordinator-requests.ts'
import { openKafka } from '../../src/transport/kafka/kafka-transport.ts'
import { Metadata } from '../../src/transport/kafka/cluster/metadata.ts'
import type { GroupOptions, Transport } from '../../src/transport/transport.ts'
import { Conditions, MemberLog } from '../../src/testing/collector.ts'

/** So long that only a leave explains that somebody else goes on within the time that a test waits. */
const sessionTimeout = 300_000
const closed = { code: 'MILENA_CLOSED' }

let broker: EmbeddedKafka
const transports: Transport[] = []
let names = 0

before(async () => {
  broker = await startEmbeddedKafka({ groups: { initialRebalanceDelayMs: 500 } })
})

afterEach(async () => {
  mock.restoreAll()
  await Promise.all(transports.splice(0).map((one) => one.close()))
})

after(() => broker.close())

async function connect(): Promise<Transport> {
  const transport = await openKafka({ brokers: broker.brokers })
  transports.push(transport)
  return transport
}

function fresh(): { topic: string; groupId: string } {
  const name = `joining-${++names}`
  broker.createTopic({ name, partitions: 2 })
  return { topic: name, groupId: name }
}

interface Step {
  readonly what: string
  readonly request: 'join' | 'sync'
  /** Of this member's requests of that kind, from 1. */
  readonly turn: number
  /** When the signal fires: before the request is made, while it is on its way, or once its answer is there, unread. */
  readonly when: 'before' | 'under way' | 'answered'
}

const steps: readonly Step[] = [
  { what: 'its first JoinGroup has not been sent', request: 'join', turn: 1, when: 'before' },
  {
    what: 'the coordinator for its first JoinGroup is looked for',
    request: 'join',
    turn: 1,
    when: 'under way',
  },
  { what: 'the answer with its member id is under way', request: 'join', turn: 1, when: 'answered' },
  { what: 'it has its member id', request: 'join', turn: 2, when: 'before' },
  { what: 'its JoinGroup waits for others', request: 'join', turn: 2, when: 'under way' },
  { what: 'the answer to its JoinGroup is under way', request: 'join', turn: 2, when: 'answered' },
  { what: 'its SyncGroup has not been sent', request: 'sync', turn: 1, when: 'before' },
  { what: 'its SyncGroup waits for the leader', request: 'sync', turn: 1, when: 'under way' },
  { what: 'its assignment is under way', request: 'sync', turn: 1, when: 'answered' },
]

/** Fires when the member that joins after this call is at that step. */
function stopAt({ request, turn, when }: Omit<Step, 'what'>): AbortSignal {
  const stop = new AbortController()
  type Ask = (...args: unknown[]) => Promise<unknown>
  /** The coordinator of the one member whose requests count. */
  const whose = new Set<GroupCoordinator>()
  let turns = 0
  const atStep = (original: Ask, asks: typeof request) =>
    async function (this: GroupCoordinator, ...args: unknown[]): Promise<unknown> {
      if (whose.size === 0 && asks === 'join' && args[0] === '') whose.add(this)
      if (asks !== request || !whose.has(this) || ++turns !== turn) return original.apply(this, args)
      if (when === 'before') {
        stop.abort()
        await sleep(5) // whatever closing does at once has been done by then
      }
      const answer = original.apply(this, args)
      if (when === 'under way') stop.abort()
      const got = await answer
      if (when === 'answered') {
        stop.abort()
        await sleep(5)
      }
      return got
    }
  for (const asks of ['join', 'sync'] as const) {
    const original = GroupCoordinator.prototype[asks] as Ask
    mock.method(GroupCoordinator.prototype, asks, atStep(original, asks))
  }
  return stop.signal
}

describe('joining is ended', () => {
  for (const step of steps) {
    test(`while ${step.what}: nobody waits for it`, async () => {
      const { topic, groupId } = fresh()
      const conditions = new Conditions()
      const [a, b, c] = [
        new MemberLog('a', conditions),
        new MemberLog('b', conditions),
        new MemberLog('c', conditions),
      ]
      const transport = await connect()
      const options = { groupId, topics: [topic], sessionTimeout }
      await transport.join(a.options(options))
      await a.holds(2)
      const signal = stopAt(step)
      await assert.rejects(transport.join(b.options({ ...options, signal })), closed)
      mock.restoreAll()
      const third = await transport.join(c.options(options))
      await Promise.all([a.holds(1), c.holds(1)])
      await third.close()
      await a.holds(2)
      assert.deepEqual(b.events, [])
    })
  }

  test('while it waits alone for the group to gather', async () => {
    const { topic, groupId } = fresh()
    const transport = await connect()
    const options = { groupId, topics: [topic], sessionTimeout }
    const signal = stopAt({ request: 'join', turn: 2, when: 'under way' })
    await assert.rejects(transport.join(new MemberLog('a').options({ ...options, signal })), closed)
    mock.restoreAll()
    const heir = new MemberLog('heir')
    await transport.join(heir.options(options))
    await heir.holds(2)
  })

  for (const [what, method] of [
    ['before a broker has told of its topic', 'refresh'],
    ['before its coordinator is known', 'askAny'],
  ] as const) {
    test(`${what}, at once`, async () => {
      const { topic, groupId } = fresh()
      const transport = await connect()
      const stop = new AbortController()
      const asked = Promise.withResolvers<void>()
      const asks = Metadata.prototype[method] as (this: Metadata, ...about: unknown[]) => Promise<never>
      mock.method(Metadata.prototype, method, function (this: Metadata, ...about: unknown[]): Promise<never> {
        if (about.length > 0 && !String(about[0]).includes('coordinator')) return asks.apply(this, about)
        asked.resolve()
        return new Promise(() => {})
      })
      const options: GroupOptions = new MemberLog('a').options({ groupId, topics: [topic], sessionTimeout })
      const joining = transport.join({ ...options, signal: stop.signal })
      await asked.promise
      stop.abort()
      await assert.rejects(joining, closed)
    })
  }

  test('of a static member, whose name is free then', async () => {
    for (const when of ['under way', 'answered'] as const) {
      const { topic, groupId } = fresh()
      const transport = await connect()
      const options = { groupId, topics: [topic], sessionTimeout }
      const signal = stopAt({ request: 'join', turn: 1, when })
      const first = new MemberLog('first').options({ ...options, groupInstanceId: 'worker', signal })
      await assert.rejects(transport.join(first), closed)
      mock.restoreAll()
      const heir = new MemberLog('heir')
      await transport.join(heir.options(options))
      await heir.holds(2)
    }
  })

  test('by closing the transport, which waits until the member has left', async () => {
    const { topic, groupId } = fresh()
    const [transport, other] = [await connect(), await connect()]
    const options = { groupId, topics: [topic], sessionTimeout }
    const signal = stopAt({ request: 'join', turn: 2, when: 'under way' })
    const joining = transport.join(new MemberLog('a').options(options))
    const rejected = assert.rejects(joining, closed)
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    mock.restoreAll()
    const leave = mock.method(GroupCoordinator.prototype, 'leave')
    await transport.close()
    assert.equal(leave.mock.callCount(), 1)
    assert.equal(await leave.mock.calls[0]!.result, 0)
    await rejected
    const heir = new MemberLog('heir')
    await other.join(heir.options(options))
    await heir.holds(2)
  })
})

test('joining asks for all of its topics together, however many they are', async () => {
  const topics = Array.from({ length: 40 }, () => fresh().topic)
  const transport = await connect()
  const refresh = mock.method(Metadata.prototype, 'refresh')
  const member = new MemberLog('m')
  await transport.join(member.options({ groupId: 'many', topics }))
  await member.holds(80)
  assert.ok(refresh.mock.callCount() < 20, `${refresh.mock.callCount()} times`)
})

describe('joining that waits for others', () => {
  test('is told once, with how long a dead member’s session is, and never once it has joined', async () => {
    const { topic, groupId } = fresh()
    const transport = await connect()
    const told: unknown[] = []
    const first = Promise.withResolvers<void>()
    type Join = typeof GroupCoordinator.prototype.join
    const join: Join = Reflect.get(GroupCoordinator.prototype, 'join')
    mock.method(
      GroupCoordinator.prototype,
      'join',
      async function (this: GroupCoordinator, ...args: Parameters<Join>) {
        await first.promise
        return join.apply(this, args)
      },
    )
    const member = new MemberLog('m')
    const options = member.options({ groupId, topics: [topic], sessionTimeout })
    await transport.join({
      ...options,
      onWaiting(waiting) {
        told.push(waiting)
        first.resolve()
        throw new Error('a mistake of the application')
      },
    })
    assert.deepEqual(told, [{ waited: 5_000, sessionTimeout }])
    assert.deepEqual(
      member.errors.map(({ message }) => message),
      ['a mistake of the application'],
    )
  })
})
