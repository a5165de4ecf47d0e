/** The requests to a group's coordinator: what one connection learns of it counts for all four. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { BrokerConnection } from '../../src/transport/kafka/cluster/connection.ts'
import type { Connections } from '../../src/transport/kafka/cluster/connections.ts'
import type { Metadata } from '../../src/transport/kafka/cluster/metadata.ts'
import { GroupCoordinator } from '../../src/transport/kafka/group/coordinator-requests.ts'
import { whileAlive } from '../../src/transport/kafka/group/heartbeats.ts'

const notCoordinator = 16
const me = { memberId: 'm', generation: 1 }
const at = { topic: 't', partition: 0, offset: 1 }

/** A coordinator that answers nothing, unless the test says so; a connection that is cut rejects what waits on it. */
function setUp() {
  const waiting = new Map<string, PromiseWithResolvers<unknown>>()
  const sent: string[] = []
  let found = 0
  const connection = (cuts: Set<() => void>): BrokerConnection =>
    ({
      broker: { host: 'here', port: 1 },
      open: true,
      version: () => 1,
      ask: ({ name }: { name: string }) => {
        sent.push(name)
        if (name === 'FindCoordinator')
          return Promise.resolve({ errorCode: 0, id: ++found, host: 'here', port: found })
        const answer = Promise.withResolvers<unknown>()
        waiting.set(name, answer)
        cuts.add(() => answer.reject(new Error('cut')))
        return answer.promise
      },
    }) as unknown as BrokerConnection
  const connections = {
    open: () => {
      const cuts = new Set<() => void>()
      return {
        get: () => Promise.resolve(connection(cuts)),
        cut: () => {
          for (const cut of cuts) cut()
        },
        close: () => Promise.resolve(),
      }
    },
  } as unknown as Connections
  const metadata = {
    askAny: (_what: string, ask: (one: BrokerConnection) => Promise<unknown>) => ask(connection(new Set())),
    blame: () => {},
    absolve: () => {},
  } as unknown as Metadata
  const coordinator = new GroupCoordinator(connections, metadata, {
    groupId: 'g',
    instanceId: null,
    sessionTimeout: 10_000,
    rebalanceTimeout: 10_000,
  })
  const has = async (...names: string[]): Promise<void> => {
    while (!names.every((name) => waiting.has(name))) await new Promise(setImmediate)
  }
  return { coordinator, waiting, sent, has, found: () => found }
}

describe('a group’s coordinator', () => {
  test('that fails at one thing is given up for everything that waits, and looked for anew', async () => {
    for (const failure of ['silence', 'a refusal'] as const) {
      const { coordinator, waiting, has, found } = setUp()
      const joining = coordinator.join('m', 'p', Buffer.alloc(0), 'r')
      const committing = coordinator.commit(me, [at])
      const reading = coordinator.committed([at])
      const beating = coordinator.heartbeat(me)
      const outcomes = Promise.allSettled([joining, committing, reading])
      await has('JoinGroup', 'OffsetCommit', 'OffsetFetch', 'Heartbeat')
      assert.equal(found(), 1)
      if (failure === 'silence') waiting.get('Heartbeat')!.reject(new Error('silent for 3 s'))
      else waiting.get('Heartbeat')!.resolve({ errorCode: notCoordinator })
      await beating.catch(() => undefined)
      assert.deepEqual(
        (await outcomes).map(({ status }) => status),
        ['rejected', 'rejected', 'rejected'],
      )
      waiting.clear()
      coordinator.heartbeat(me).catch(() => undefined)
      await has('Heartbeat')
      assert.equal(found(), 2)
      waiting.get('Heartbeat')!.resolve({ errorCode: 0 })
    }
  })

  test('is not sent what it was to be asked when it was lost meanwhile', async () => {
    const { coordinator, waiting, sent, has } = setUp()
    const beating = coordinator.heartbeat(me)
    await has('Heartbeat')
    waiting.get('Heartbeat')!.reject(new Error('silent for 3 s'))
    // It has the former coordinator in hand, and no connection yet.
    const joining = coordinator.join('m', 'p', Buffer.alloc(0), 'r')
    await Promise.allSettled([beating])
    await assert.rejects(joining, /lost meanwhile/)
    assert.ok(!sent.includes('JoinGroup'))
  })

  test('of which a JoinGroup is abandoned keeps everything else', async () => {
    const { coordinator, waiting, has } = setUp()
    const joining = coordinator.join('m', 'p', Buffer.alloc(0), 'r')
    const committing = coordinator.commit(me, [at])
    await has('JoinGroup', 'OffsetCommit')
    coordinator.abandonWait()
    await assert.rejects(joining, /cut/)
    // As whoever found out would: the coordinator is looked for again, and the commit is cut with the rest.
    waiting.get('OffsetCommit')!.resolve([{ topic: 't', partition: 0, errorCode: 0 }])
    await committing.catch(() => undefined)
  })
})

describe('waiting while alive', () => {
  test('asks all the while, counts who is known from when it was asked, and tells once nobody answers', async () => {
    const codes = [0, 27, 25, undefined]
    const known: number[] = []
    const asked: number[] = []
    const died = Promise.withResolvers<never>()
    const waiting = whileAlive(died.promise, 1, {
      beat: () => {
        asked.push(performance.now())
        const code = codes.shift()
        return code === undefined ? Promise.reject(new Error('silent')) : Promise.resolve(code)
      },
      known: (at) => known.push(at),
      long: () => assert.fail('it did not take long'),
      dead: () => died.reject(new Error('abandoned')),
    })
    await assert.rejects(waiting, /abandoned/)
    assert.equal(known.length, 2, 'a member that it does not know is alive, and not known')
    for (const [index, time] of known.entries()) assert.ok(time <= asked[index]!)
  })
})
