/** The requests to a group's coordinator: what one connection learns of it counts for all four. */
import assert from 'node:assert/strict'
import { describe, mock, test } from 'node:test'
import type { BrokerConnection } from '../../src/transport/kafka/connection/connection.ts'
import type { Connections } from '../../src/transport/kafka/connection/connections.ts'
import type { Metadata } from '../../src/transport/kafka/cluster/metadata.ts'
import { NetworkFailure } from '../../src/transport/kafka/connection/verdicts.ts'
import { GroupCoordinator } from '../../src/transport/kafka/group/coordinator-requests.ts'
import { whileAlive } from '../../src/transport/kafka/group/heartbeats.ts'

const notCoordinator = 16
const me = { memberId: 'm', generation: 1 }
const at = { topic: 't', partition: 0, offset: 1 }

/** A coordinator that answers nothing, unless the test says so; a connection that is cut rejects what waits on it. */
function setUp(timings = { sessionTimeout: 10_000, rebalanceTimeout: 10_000 }) {
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
  const silences: number[] = []
  const connections = {
    open: (silence: number) => {
      silences.push(silence)
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
    ...timings,
  })
  const has = async (...names: string[]): Promise<void> => {
    while (!names.every((name) => waiting.has(name))) await new Promise(setImmediate)
  }
  return { coordinator, waiting, sent, has, silences, found: () => found }
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

  test('that waits for members longer than this one would is not given up while it answers heartbeats', async () => {
    for (const lives of [true, false]) {
      const { coordinator, waiting, has, found } = setUp()
      const joining = coordinator.join('m', 'p', Buffer.alloc(0), 'r')
      const outcome = assert.rejects(joining, /not a byte/)
      const committing = coordinator.commit(me, [at])
      const committed = committing.catch(() => 'cut')
      const beating = coordinator.heartbeat(me).catch(() => undefined)
      await has('JoinGroup', 'OffsetCommit', 'Heartbeat')
      if (lives) {
        waiting.get('Heartbeat')!.resolve({ errorCode: 27 })
        await beating
      }
      waiting.get('JoinGroup')!.reject(new NetworkFailure('not a byte for 15 s', { silent: true }))
      await outcome
      waiting.get('OffsetCommit')!.resolve([{ topic: 't', partition: 0, errorCode: 0 }])
      assert.deepEqual(await committed, lives ? [0] : 'cut')
      waiting.clear()
      const again = coordinator.join('m', 'p', Buffer.alloc(0), 'r')
      await has('JoinGroup')
      assert.equal(found(), lives ? 1 : 2)
      waiting.get('JoinGroup')!.resolve({ errorCode: 0, memberId: 'm', leader: 'm' })
      await again
    }
  })

  test('that holds a heartbeat back while its replicas take a write is not taken for one that hangs', () => {
    const { silences } = setUp({ sessionTimeout: 15_000, rebalanceTimeout: 15_000 })
    const [beats] = silences
    // Apache Kafka's `offsets.commit.timeout.ms`; and two lost heartbeats lose no session.
    assert.ok(beats! > 5_000 && 2 * beats! < 15_000, `${beats} ms`)
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
      joinsAgain: false,
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

  test('a member whose generation is over twice while JoinGroup waits has lost the answer', async () => {
    for (const joinsAgain of [true, false]) {
      const codes = [27, 22, 27, 22, 22, 27]
      const beats: number[] = []
      const waiting = Promise.withResolvers<string>()
      const answer = whileAlive(waiting.promise, 1, {
        joinsAgain,
        beat: () => {
          const code = codes[beats.length] ?? 27
          beats.push(code)
          if (beats.length > codes.length) waiting.resolve('answered')
          return Promise.resolve(code)
        },
        known: () => undefined,
        long: () => assert.fail('it did not take long'),
        dead: () => waiting.reject(new Error(`abandoned after ${beats.join(', ')}`)),
      })
      // Who is new in the group has no generation yet, and is told so all the while.
      if (joinsAgain) await assert.rejects(answer, { message: 'abandoned after 27, 22, 27, 22, 22' })
      else assert.equal(await answer, 'answered')
    }
  })

  test('tells once that others are waited for long, and only when the coordinator answers', async () => {
    const now = performance.now.bind(performance)
    let ahead = 0
    mock.method(performance, 'now', () => now() + ahead)
    const told: number[] = []
    const waiting = Promise.withResolvers<string>()
    const [hung, answers, more] = [1, 2, 3].map(() => Promise.withResolvers<number>())
    const beats = [hung!, answers!, more!]
    const asked: number[] = []
    const begun = async (count: number): Promise<void> => {
      while (asked.length < count) await new Promise(setImmediate)
    }
    const answer = whileAlive(waiting.promise, 1, {
      joinsAgain: false,
      beat: () => (beats[asked.push(1) - 1] ?? more!).promise,
      known: () => undefined,
      long: (waited) => told.push(waited),
      dead: () => undefined,
    })
    ahead = 10_000
    await begun(1)
    hung!.reject(new Error('silent'))
    await begun(2)
    assert.deepEqual(told, [])
    answers!.resolve(27)
    await begun(3)
    assert.deepEqual(told, [5_000])
    more!.resolve(27)
    await begun(4)
    waiting.resolve('joined')
    await answer
    assert.deepEqual(told, [5_000])
    mock.restoreAll()
  })

  test('a heartbeat that fails after the answer has come says nothing of what is asked since', async () => {
    const beat = Promise.withResolvers<never>()
    const begun = Promise.withResolvers<void>()
    const waiting = Promise.withResolvers<string>()
    const answer = whileAlive(waiting.promise, 1, {
      joinsAgain: false,
      beat: () => {
        begun.resolve()
        return beat.promise
      },
      known: () => assert.fail('it was not answered'),
      long: () => assert.fail('it did not take long'),
      dead: () => assert.fail('the next JoinGroup was abandoned'),
    })
    await begun.promise
    waiting.resolve('joined')
    assert.equal(await answer, 'joined')
    beat.reject(new Error('silent'))
    await new Promise(setImmediate)
  })
})
