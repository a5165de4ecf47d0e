/** How long a member's start waits: for a coordinator, and for its group's other members. */
import assert from 'node:assert/strict'
import { afterEach, mock, test } from 'node:test'
import { startEmbeddedKafka, type EmbeddedKafka } from '@milena/embedded-kafka'
import type { TransportError } from '../../src/errors.ts'
import { refusal, unreachable } from '../../src/transport/kafka/cluster/kafka-errors.ts'
import { GroupCoordinator } from '../../src/transport/kafka/group/coordinator-requests.ts'
import { Start } from '../../src/transport/kafka/group/start.ts'
import { openKafka } from '../../src/transport/kafka/kafka-transport.ts'
import type { Transport } from '../../src/transport/transport.ts'
import { MemberLog } from '../../src/testing/collector.ts'

const [topic, groupId] = ['work', 'workers']
/** Milliseconds: so long that a clock that jumps is not taken for a process that was held up. */
const sessionTimeout = 300_000
const coordinatorNotAvailable = 15
/** What a coordinator says to a member that has no name yet. */
const unknownMemberId = 25
const illegalGeneration = 22
const open: (() => Promise<void>)[] = []

afterEach(async () => {
  mock.restoreAll()
  for (const close of open.splice(0).toReversed()) await close()
})

async function start(): Promise<{ broker: EmbeddedKafka; transport: Transport }> {
  const broker = await startEmbeddedKafka({ topics: [`${topic}:2`] })
  open.push(() => broker.close())
  const transport = await openKafka({ brokers: broker.brokers })
  open.push(() => transport.close())
  return { broker, transport }
}

type Asked = (...args: unknown[]) => Promise<unknown>

/** A clock that goes on by itself, and by so many milliseconds when it is told to. */
function startClock(): (milliseconds: number) => void {
  const now = performance.now.bind(performance)
  let ahead = 0
  mock.method(performance, 'now', () => now() + ahead)
  return (milliseconds) => void (ahead += milliseconds)
}

test('a start fails when no coordinator has served it for a minute, says why, and leaves nothing behind', async () => {
  const { broker, transport } = await start()
  const before = process.getActiveResourcesInfo().toSorted()
  const connections = broker.stats().connections
  const pass = startClock()
  const none = refusal(coordinatorNotAvailable, 'find the coordinator of group workers', { retryable: true })
  const answers: Promise<unknown>[] = [Promise.resolve({ errorCode: coordinatorNotAvailable, memberId: '' })]
  mock.method(GroupCoordinator.prototype, 'join', () => {
    pass(5_000)
    return answers[0] ?? Promise.reject(none)
  })
  for (const cause of ['an answer', 'a failure']) {
    const joining = transport.join(new MemberLog('m').options({ groupId, topics: [topic], sessionTimeout }))
    await assert.rejects(joining, (error: TransportError) => {
      assert.equal(error.code, 'MILENA_BROKER_UNREACHABLE')
      assert.match(
        error.message,
        /^group workers: no coordinator has served it for 6\d s \(.*__consumer_offsets/s,
      )
      assert.match(error.message, /COORDINATOR_NOT_AVAILABLE/)
      assert.equal(error.cause === none, cause === 'a failure')
      return true
    })
    answers.length = 0
  }
  assert.equal(broker.stats().connections, connections)
  assert.deepEqual(process.getActiveResourcesInfo().toSorted(), before)
})

test('a start waits for its group’s other members as long as a coordinator answers', async () => {
  const { transport } = await start()
  const pass = startClock()
  const others = Promise.withResolvers<void>()
  const { join, heartbeat } = GroupCoordinator.prototype as unknown as Record<string, Asked>
  mock.method(
    GroupCoordinator.prototype,
    'join',
    async function (this: GroupCoordinator, ...args: unknown[]) {
      await others.promise
      return join!.apply(this, args)
    },
  )
  let beats = 0
  mock.method(
    GroupCoordinator.prototype,
    'heartbeat',
    async function (this: GroupCoordinator, ...args: unknown[]) {
      if (++beats > 40) return heartbeat!.apply(this, args)
      pass(5_000)
      if (beats === 40) others.resolve()
      return unknownMemberId
    },
  )
  const options = new MemberLog('m').options({
    groupId,
    topics: [topic],
    sessionTimeout,
    heartbeatInterval: 20,
  })
  await transport.join(options)
  assert.ok(beats >= 40)
})

/** What the group has committed cannot be read until that resolves. */
function holdPositions(): { known(): void; asked: Promise<void> } {
  const [positions, asked] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  type Committed = typeof GroupCoordinator.prototype.committed
  const committed: Committed = Reflect.get(GroupCoordinator.prototype, 'committed')
  mock.method(
    GroupCoordinator.prototype,
    'committed',
    async function (this: GroupCoordinator, ...args: Parameters<Committed>) {
      asked.resolve()
      await positions.promise
      return committed.apply(this, args)
    },
  )
  return { known: positions.resolve, asked: asked.promise }
}

test('a member that loses its place before it knows where to begin has not started: it gets another one first', async () => {
  const { transport } = await start()
  const member = new MemberLog('m')
  const positions = holdPositions()
  const options = { groupId, topics: [topic], from: 'latest', heartbeatInterval: 20 } as const
  const joining = transport.join(member.options(options))
  let joined = false
  void joining.then(() => (joined = true))
  await positions.asked
  const beats = mock.method(GroupCoordinator.prototype, 'heartbeat', () => Promise.resolve(illegalGeneration))
  await member.conditions.until('all is lost', () => member.events.includes(`!${topic}/1`))
  beats.mock.restore()
  await member.holds(2)
  assert.equal(joined, false)
  positions.known()
  await joining
  for (const partition of [0, 1])
    await transport.send({ topic, partition, key: null, value: Buffer.from('first'), headers: [] })
  await member.count(2)
})

test('a static member whose joining is ended before it knows where to begin leaves its name free', async () => {
  const { transport } = await start()
  const positions = holdPositions()
  const stop = new AbortController()
  const options = { groupId, topics: [topic], sessionTimeout }
  const first = new MemberLog('first').options({ ...options, groupInstanceId: 'worker' })
  const joining = transport.join({ ...first, signal: stop.signal })
  await positions.asked
  const leave = mock.method(GroupCoordinator.prototype, 'leave')
  stop.abort()
  await assert.rejects(joining, { code: 'MILENA_CLOSED' })
  assert.equal(leave.mock.callCount(), 1)
  positions.known()
  const heir = new MemberLog('heir')
  await transport.join(heir.options(options))
  await heir.holds(2)
})

test('brokers that are away for a moment do not end a start that waits for an election', async () => {
  const error = unreachable(['b:9092'], 'a request', undefined)
  const cluster = { problem: { kind: 'away', error } as const, silence: 3_000 }
  const waits = new Start(groupId, cluster)
  waits.look({ lasted: 40_000, cause: undefined })
  cluster.silence = 21_000
  waits.look({ lasted: 3_000, cause: undefined })
  waits.done()
  await waits.outcome
  const fails = new Start(groupId, cluster)
  fails.look({ lasted: 40_000, cause: undefined })
  await assert.rejects(fails.outcome, error)
})
