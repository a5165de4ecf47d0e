/** What keeps two members from having one partition: what is awaited before records come, or a partition goes. */
import assert from 'node:assert/strict'
import { afterEach, describe, mock, test } from 'node:test'
import { startEmbeddedKafka, type EmbeddedKafka } from '@milena/embedded-kafka'
import { GroupCoordinator, type Identity } from '../../src/transport/kafka/group/coordinator-requests.ts'
import { openKafka } from '../../src/transport/kafka/kafka-transport.ts'
import type { Transport } from '../../src/transport/transport.ts'
import { Conditions, MemberLog } from '../../src/testing/collector.ts'

const topic = 'work'
const rebalanceInProgress = 27
const open: (() => Promise<void>)[] = []

afterEach(async () => {
  mock.restoreAll()
  for (const close of open.splice(0).toReversed()) await close()
})

async function start(): Promise<EmbeddedKafka> {
  const broker = await startEmbeddedKafka({ topics: [`${topic}:2`] })
  open.push(() => broker.close())
  return broker
}

/** A member's id begins with its client's. */
async function connect(broker: EmbeddedKafka, clientId: string): Promise<Transport> {
  const transport = await openKafka({ brokers: broker.brokers, clientId })
  open.push(() => transport.close())
  return transport
}

type Join = typeof GroupCoordinator.prototype.join
type Heartbeat = (this: GroupCoordinator, identity: Identity) => Promise<number>

/** What becomes of the heartbeats of one client's member. */
function onHeartbeat(clientId: string, act: (beat: () => Promise<number>) => Promise<number>): void {
  const original: Heartbeat = Reflect.get(GroupCoordinator.prototype, 'heartbeat')
  mock.method(GroupCoordinator.prototype, 'heartbeat', function (this: GroupCoordinator, identity: Identity) {
    const beat = (): Promise<number> => original.call(this, identity)
    return identity.memberId.startsWith(clientId) ? act(beat) : beat()
  })
}

const send = (transport: Transport, value: string, partition = 0): Promise<unknown> =>
  transport.send({ topic, partition, key: null, value: Buffer.from(value), headers: [] })

describe('a member that was held up', () => {
  test('hands nothing over until the coordinator has answered whether it knows it', async () => {
    const broker = await start()
    const conditions = new Conditions()
    const [stalled, probe] = [new MemberLog('stalled', conditions), new MemberLog('probe', conditions)]
    const [first, second] = [await connect(broker, 'stalled'), await connect(broker, 'probe')]
    await first.join(stalled.options({ groupId: 'g', topics: [topic], sessionTimeout: 10_000 }))
    await second.join(probe.options({ groupId: 'another', topics: [topic] }))
    await send(second, 'before')
    await Promise.all([stalled.count(1), probe.count(1)])

    const answer = Promise.withResolvers<void>()
    const asked = Promise.withResolvers<void>()
    onHeartbeat('stalled', async (beat) => {
      asked.resolve()
      await answer.promise
      return beat()
    })
    // Six seconds in which this process did nothing: more than half of the session, and less than all of it.
    const now = performance.now.bind(performance)
    mock.method(performance, 'now', () => now() + 6_000)
    await asked.promise
    for (const [index, value] of ['1', '2', '3'].entries()) {
      await send(second, value)
      await probe.count(index + 2)
    }
    const early = [...stalled.values]
    answer.resolve()
    assert.deepEqual(early, ['before'])
    await stalled.count(4)
    assert.deepEqual(stalled.values, ['before', '1', '2', '3'], 'nothing was lost by that')
    assert.deepEqual(stalled.events.length, 2, 'nor did it lose its place')
  })
})

describe('a member that lets go of a partition', () => {
  test('joins a rebalance only when that is drained: nobody is given it before', async () => {
    const broker = await start()
    const conditions = new Conditions()
    const [a, b, c] = ['a', 'b', 'c'].map((name) => new MemberLog(name, conditions)) as [
      MemberLog,
      MemberLog,
      MemberLog,
    ]
    const options = { groupId: 'g', topics: [topic], drainTimeout: 60_000, heartbeatInterval: 50 }
    const transports = await Promise.all(['a-1', 'b-1', 'c-1'].map((id) => connect(broker, id)))
    const drained = Promise.withResolvers<void>()
    a.beforeRelease = () => drained.promise
    await transports[0]!.join(a.options(options))
    await a.holds(2)
    const second = transports[1]!.join(b.options(options))
    await conditions.until('a lets go of a partition', () => a.held.size === 1)

    // A third one comes, so that the group asks everybody to join again.
    let told = 0
    onHeartbeat('a-1', async (beat) => {
      const code = await beat()
      if (code === rebalanceInProgress) told++
      conditions.changed()
      return code
    })
    let joins = 0
    const join: Join = Reflect.get(GroupCoordinator.prototype, 'join')
    mock.method(
      GroupCoordinator.prototype,
      'join',
      function (this: GroupCoordinator, ...args: Parameters<Join>) {
        if (args[0].startsWith('a-1')) joins++
        return join.apply(this, args)
      },
    )
    const joining = transports[2]!.join(c.options(options))
    await conditions.until('a was told so again and again', () => told >= 3 || joins > 0)
    const early = [joins, b.held.size, c.held.size]
    if (joins > 0) drained.resolve()
    assert.deepEqual(early, [0, 0, 0])
    await send(transports[2]!, 'meanwhile', Number([...a.leaving][0]!.split('/')[1]))
    await a.count(1)
    drained.resolve()
    await joining
    await conditions.until('somebody has it', () => b.held.size + c.held.size === 1)
    assert.equal(a.held.size, 1)
    assert.ok(joins > 0)
    a.beforeRelease = () => Promise.resolve()
    await (await second).close()
  })
})

describe('a JoinGroup that hangs', () => {
  test('is abandoned once heartbeats show that nobody answers, and asked again', async () => {
    const broker = await start()
    const transport = await connect(broker, 'hangs')
    const member = new MemberLog('m')
    await transport.join(member.options({ groupId: 'g', topics: [topic], heartbeatInterval: 50 }))
    await member.holds(2)
    const [waits, over] = [Promise.withResolvers<void>(), Promise.withResolvers<never>()]
    over.promise.catch(() => undefined)
    mock.method(GroupCoordinator.prototype, 'join', () => {
      waits.resolve()
      return over.promise
    })
    const abandoned = Promise.withResolvers<void>()
    mock.method(GroupCoordinator.prototype, 'abandonWait', () => {
      over.reject(new Error('cut'))
      abandoned.resolve()
    })
    let silent = false
    onHeartbeat('hangs', () => {
      if (silent) return Promise.reject(new Error('silent'))
      return Promise.resolve(rebalanceInProgress)
    })
    await waits.promise
    silent = true
    await abandoned.promise
    mock.restoreAll()
    await send(transport, 'afterwards')
    await member.count(1)
    assert.equal(member.held.size, 2)
    assert.deepEqual(member.errors, [])
  })
})
