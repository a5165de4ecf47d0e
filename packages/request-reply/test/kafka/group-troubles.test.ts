import assert from 'node:assert/strict'
import { afterEach, describe, mock, test } from 'node:test'
import { startEmbeddedKafka, type EmbeddedKafka } from '@milena/embedded-kafka'
import { TransportError } from '../../src/errors.ts'
import { GroupCoordinator } from '../../src/transport/kafka/group/coordinator-requests.ts'
import { openKafka } from '../../src/transport/kafka/kafka-transport.ts'
import type { GroupMembership, Transport, Trouble } from '../../src/transport/transport.ts'
import { Conditions, MemberLog } from '../../src/testing/collector.ts'

const topic = 'work'
const groupId = 'workers'
const open: (() => Promise<void>)[] = []

afterEach(async () => {
  mock.restoreAll()
  for (const close of open.splice(0).toReversed()) await close()
})

/** A broker that takes sessions of a second. */
async function start(port = 0): Promise<EmbeddedKafka> {
  const broker = await startEmbeddedKafka({
    port,
    groups: { minSessionTimeoutMs: 1_000 },
    topics: [`${topic}:2`],
  })
  open.push(() => broker.close())
  return broker
}

async function connect(broker: EmbeddedKafka): Promise<Transport> {
  const transport = await openKafka({ brokers: broker.brokers })
  open.push(() => transport.close())
  return transport
}

const send = (transport: Transport, partition: number, value: string): Promise<unknown> =>
  transport.send({ topic, partition, key: null, value: Buffer.from(value), headers: [] })

const kinds = (membership: GroupMembership): string[] => membership.troubles().map(({ kind }) => kind)

/** A handler that computes. */
function block(milliseconds: number): void {
  const until = performance.now() + milliseconds
  while (performance.now() < until);
}

const session = { sessionTimeout: 1_000, heartbeatInterval: 200 }

describe('a group member', () => {
  test('that was held up for longer than its session says so, and is back at once', async () => {
    const transport = await connect(await start())
    const member = new MemberLog('m')
    const seen: string[][] = []
    const options = member.options({ groupId, topics: [topic], ...session })
    const membership = await transport.join({
      ...options,
      onTrouble(troubles) {
        seen.push(troubles.map(({ kind }) => kind))
        options.onTrouble!(troubles)
      },
    })
    await member.holds(2)
    block(1_500)
    await member.conditions.until('it has lost its partitions', () => member.events.length === 4)
    await member.conditions.until('that is told', () => member.errors.length > 0)
    const [error] = member.errors as TransportError[]
    assert.equal(error!.code, 'MILENA_COMMIT_FENCED')
    const told =
      /held up for (\d+) ms, longer than the session timeout of 1000 ms: a handler that computes\?/.exec(
        error!.message,
      )
    assert.ok(Number(told?.[1]) >= 1_400, error!.message)
    const free = performance.now()
    await member.holds(2)
    assert.ok(performance.now() - free < 1_000, 'within a session')
    assert.deepEqual(seen, [['not-a-member'], []])
    assert.deepEqual(kinds(membership), [])
    assert.equal(member.errors.length, 1)
  })

  test('that loses what it lets go of does not wait for that, and is not disturbed by its late end', async () => {
    const broker = await start()
    const conditions = new Conditions()
    const [a, b] = [new MemberLog('a', conditions), new MemberLog('b', conditions)]
    const transport = await connect(broker)
    const options = { groupId, topics: [topic], ...session, drainTimeout: 60_000 }
    const drained = Promise.withResolvers<void>()
    a.beforeRelease = () => drained.promise
    await transport.join(a.options(options))
    await a.holds(2)
    await transport.join(b.options(options))
    await a.holds(1)
    block(1_500)
    await conditions.until('everything was lost', () => a.events.filter((one) => one[0] === '!').length === 2)
    // Both come back, and share the partitions out.
    await Promise.all([a.holds(1), b.holds(1)])
    drained.resolve()
    a.beforeRelease = () => Promise.resolve()
    await send(transport, 0, 'x')
    await send(transport, 1, 'y')
    await Promise.all([a.count(1), b.count(1)])
    await send(transport, 0, 'x')
    await send(transport, 1, 'y')
    await Promise.all([a.count(2), b.count(2)])
  })

  test('that hears of no coordinator for 30 s says so until it does, and since when', async () => {
    const broker = await start()
    const transport = await connect(broker)
    const member = new MemberLog('m')
    const membership = await transport.join(
      member.options({ groupId, topics: [topic], sessionTimeout: 300_000 }),
    )
    await send(transport, 0, 'v')
    await send(transport, 1, 'v')
    await member.count(2)
    const before = Date.now()
    await broker.close()
    // 35 s that nobody has to wait for; less than half of the session: it was not this process that was held up.
    const now = performance.now.bind(performance)
    mock.method(performance, 'now', () => now() + 35_000)
    const own = (): Trouble | undefined =>
      member.troubles.find(({ kind, topic: of }) => kind === 'unreachable' && of === undefined)
    await member.conditions.until('that is a trouble', () => own() !== undefined)
    const trouble = own()
    assert.ok(membership.troubles().includes(trouble!))
    assert.match(trouble!.error.message, /group workers: no coordinator has answered for 30000 ms/)
    assert.ok(trouble!.since < before, 'since it last answered')
    await start(broker.port)
    await member.conditions.until('it is over', () => member.troubles.length === 0)
    await member.holds(2)
    assert.equal(member.errors.filter((error) => error.message.includes('no coordinator')).length, 1)
  })

  test('that may not know where a partition begins says so for each, and reads once it may', async () => {
    const transport = await connect(await start())
    const member = new MemberLog('m')
    const refusal = new TransportError('MILENA_NOT_AUTHORIZED', 'not for you')
    mock.method(GroupCoordinator.prototype, 'committed', () => Promise.reject(refusal))
    const membership = await transport.join(member.options({ groupId, topics: [topic] }))
    await member.conditions.until('both are in trouble', () => member.troubles.length === 2)
    assert.deepEqual(
      membership.troubles().map(({ kind, topic: of, partition, error }) => [kind, of, partition, error]),
      [0, 1].map((partition) => ['not-authorized', topic, partition, refusal]),
    )
    assert.deepEqual(member.errors, [refusal], 'told once')
    mock.restoreAll()
    await member.conditions.until('it is over', () => member.troubles.length === 0)
    await send(transport, 0, 'v')
    await member.count(1)
  })

  test('that leaves while its JoinGroup waits is not told that it has lost its place', async () => {
    const transport = await connect(await start())
    const member = new MemberLog('m')
    const membership = await transport.join(member.options({ groupId, topics: [topic], ...session }))
    await member.holds(2)
    // The coordinator answers a JoinGroup that waits when its member leaves: it knows it no more.
    const [waits, left] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const unknownMemberId = 25
    mock.method(GroupCoordinator.prototype, 'join', async () => {
      waits.resolve()
      await left.promise
      return { errorCode: unknownMemberId, memberId: '' }
    })
    mock.method(GroupCoordinator.prototype, 'leave', async () => {
      left.resolve()
      await new Promise(setImmediate)
      return 0
    })
    const rebalanceInProgress = 27
    mock.method(GroupCoordinator.prototype, 'heartbeat', () => Promise.resolve(rebalanceInProgress))
    await waits.promise
    await membership.close()
    assert.deepEqual([membership.troubles(), member.troubles, member.errors], [[], [], []])
  })

  test('whose group is refused to it says so, and forgets it when it is closed', async () => {
    const transport = await connect(await start())
    const member = new MemberLog('m')
    const membership = await transport.join(member.options({ groupId, topics: [topic], ...session }))
    await member.holds(2)
    const groupAuthorizationFailed = 30
    mock.method(GroupCoordinator.prototype, 'heartbeat', () => Promise.resolve(groupAuthorizationFailed))
    await member.conditions.until('that is a trouble', () => kinds(membership).includes('not-authorized'))
    assert.equal((member.errors[0] as TransportError).code, 'MILENA_NOT_AUTHORIZED')
    mock.restoreAll()
    await member.conditions.until('it is over', () => member.troubles.length === 0)
    mock.method(GroupCoordinator.prototype, 'heartbeat', () => Promise.resolve(groupAuthorizationFailed))
    await member.conditions.until('it is a trouble again', () => kinds(membership).length > 0)
    await membership.close()
    assert.deepEqual(membership.troubles(), [])
  })
})
