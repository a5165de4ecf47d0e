/** What can happen to a reply address while its owner lives. */
import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { MilenaError, TransportError } from '../src/errors.ts'
import { instanceReplyTopic } from '../src/routing/instance-reply-topic.ts'
import { Housekeeping, LeaseTable } from '../src/routing/leases.ts'
import type { OpenReplyRouting } from '../src/routing/routing.ts'
import { createMemoryBroker, type MemoryBroker } from '../src/transport/memory/broker.ts'
import { sharedReplyTopic } from '../src/routing/shared-reply-topic.ts'
import type { ReplyRouting } from '../src/routing/routing.ts'
import type {
  IncomingRecord,
  TailOptions,
  Transport,
  Trouble,
  UnreadableRange,
} from '../src/transport/transport.ts'
import { ManualClock } from './manual-clock.ts'

const opened: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const thing of opened.splice(0).toReversed()) await thing.close()
})

interface Owner {
  readonly routing: OpenReplyRouting
  readonly received: IncomingRecord[]
  readonly warnings: Error[]
  readonly told: (readonly Trouble[])[]
  readonly unreadable: UnreadableRange[]
}

async function own(
  transport: Transport,
  clock: ManualClock,
  strategy: ReplyRouting = instanceReplyTopic({ prefix: 'replies_' }),
): Promise<Owner> {
  const received: IncomingRecord[] = []
  const warnings: Error[] = []
  const told: (readonly Trouble[])[] = []
  const unreadable: UnreadableRange[] = []
  const routing = await strategy.open({
    transport,
    instanceId: 'gw-1',
    createTopics: strategy.name !== 'instanceReplyTopic',
    clock,
    resumeFrom: undefined,
    pending: () => [],
    receive: (records) => void received.push(...records),
    unreadable: (range) => void unreadable.push(range),
    onTrouble: (troubles) => void told.push(troubles),
    warn: (error) => void warnings.push(error),
  })
  return { routing, received, warnings, told, unreadable }
}

function connect(broker: MemoryBroker): ReturnType<MemoryBroker['connect']> {
  const transport = broker.connect()
  opened.push(transport)
  return transport
}

async function topicsOf(transport: Transport): Promise<string[]> {
  return [...(await transport.describeTopics()).keys()]
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 60_000
  while (!(await condition())) {
    assert.ok(performance.now() < end, 'the condition never came true')
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

test('instanceReplyTopic: a topic that is removed under its living owner comes back, and its replies are received', async () => {
  const broker = createMemoryBroker()
  const clock = new ManualClock()
  const { routing, received, warnings } = await own(connect(broker), clock)
  opened.push(routing)
  const other = connect(broker)
  await other.deleteTopics(['replies_gw-1'])
  await until(async () => (await topicsOf(other)).includes('replies_gw-1'))
  assert.equal((warnings[0] as MilenaError).code, 'MILENA_TOPIC_MISSING')
  await other.send({ topic: 'replies_gw-1', key: null, value: Buffer.from('reply'), headers: [] })
  await until(() => received.length === 1)
})

test('while the brokers refuse to make a reply topic again, that is tried at growing intervals, and told once', async () => {
  const broker = createMemoryBroker()
  const clock = new ManualClock()
  const transport = connect(broker)
  const { routing, warnings, told } = await own(transport, clock, sharedReplyTopic({ topic: 'replies' }))
  opened.push(routing)
  const tries: number[] = []
  const createTopics = transport.createTopics.bind(transport)
  transport.createTopics = () => {
    tries.push(clock.monotonic() / 1_000)
    // Whatever somebody's transport may throw.
    return Promise.reject(tries.length > 1 ? Object.create(null) : 'not now')
  }
  const other = connect(broker)
  await other.deleteTopics(['replies'])
  await until(() => tries.length === 1)
  await clock.advance(121_000)
  assert.deepEqual(tries, [0, 1, 3, 7, 15, 31, 61, 91, 121])
  assert.deepEqual(
    warnings
      .map((warning) => warning.message.replace(/^reply topic replies was removed.*/, 'removed'))
      .toSorted(),
    ['a thrown object ([object Object])', 'not now', 'removed'],
  )
  assert.equal(routing.troubles!()[0]?.kind, 'topic-missing')
  transport.createTopics = createTopics
  await clock.advance(30_000)
  assert.ok((await topicsOf(other)).includes('replies'))
  assert.deepEqual([routing.troubles!(), told.at(-1)], [[], []])
})

test('a reply topic that is deleted again and again is not made again at any rate', async () => {
  const broker = createMemoryBroker()
  const clock = new ManualClock()
  const transport = connect(broker)
  const { routing } = await own(transport, clock)
  opened.push(routing)
  let made = 0
  const createTopics = transport.createTopics.bind(transport)
  transport.createTopics = (topics) => {
    made++
    return createTopics(topics)
  }
  const other = connect(broker)
  for (let second = 0; second < 120; second++) {
    await other.deleteTopics(['replies_gw-1'])
    await clock.advance(1_000)
  }
  assert.ok(made >= 5 && made <= 9, `${made} times in two minutes`)
  await clock.advance(100_000)
  assert.deepEqual(await topicsOf(other), ['replies_gw-1'])
  const before = made
  await other.deleteTopics(['replies_gw-1'])
  await clock.advance(500)
  assert.equal(made, before + 1, 'at once, since it had stood for long')
})

test('a right that is lost and given again is a trouble with an end, and a stretch that cannot be read is told', async () => {
  const broker = createMemoryBroker()
  const clock = new ManualClock()
  const transport = connect(broker)
  let reading: TailOptions | undefined
  const tail = transport.tail.bind(transport)
  transport.tail = (options) => tail((reading = options))
  let made = 0
  const { routing, told, warnings, unreadable } = await own(transport, clock)
  opened.push(routing)
  transport.createTopics = () => Promise.resolve(void made++)
  const error = new TransportError('MILENA_NOT_AUTHORIZED', 'may not read')
  const troubles: Trouble[] = [{ kind: 'not-authorized', topic: 'replies_gw-1', since: clock.now(), error }]
  reading!.onTrouble!(troubles)
  reading!.onError!(error)
  assert.equal(routing.troubles!(), troubles)
  reading!.onTrouble!([])
  assert.deepEqual(routing.troubles!(), [])
  assert.deepEqual(told, [troubles, []])
  assert.deepEqual([warnings, made], [[error], 0])
  const range = { topic: 'replies_gw-1', partition: 0, offset: 3, next: 5, bytes: 70, reason: 'damaged' }
  reading!.onUnreadable!(range)
  assert.deepEqual(unreadable, [range])
  // Whoever closed the transport knows; that it does not end is a state all the same.
  const closed = new TransportError('MILENA_CLOSED', 'the transport was closed')
  reading!.onError!(closed)
  reading!.onTrouble!([{ kind: 'closed', since: clock.now(), error: closed }])
  assert.equal(routing.troubles!()[0]?.kind, 'closed')
  assert.deepEqual(warnings, [error])
})

test('instanceReplyTopic: close leaves the topic to a successor that was started under the same instance id', async () => {
  const broker = createMemoryBroker()
  const clock = new ManualClock()
  const first = await own(connect(broker), clock)
  await clock.advance(5_000)
  const transport = connect(broker)
  // The first is held up: it does not answer whether it lives.
  const send = transport.send.bind(transport)
  transport.send = () => Promise.reject(new TransportError('MILENA_NOT_SENT', 'the question never arrives'))
  const opening = own(transport, clock)
  const open = opening.then(() => true)
  do await clock.advance(20)
  while (!(await Promise.race([open, Promise.resolve(false)])))
  const second = await opening
  transport.send = send
  await first.routing.close()
  assert.deepEqual(await topicsOf(transport), ['replies_gw-1'])
  await second.routing.close()
  assert.deepEqual(await topicsOf(transport), [])
})

test('instanceReplyTopic: a lease that could not be renewed does not keep close from removing the topic', async () => {
  const broker = createMemoryBroker()
  const clock = new ManualClock()
  const transport = connect(broker)
  const { routing } = await own(transport, clock)
  transport.writeCommittedOffsets = () => Promise.reject(new TransportError('MILENA_BROKER_ERROR', 'not now'))
  await clock.advance(11_000)
  await routing.close()
  assert.deepEqual(await topicsOf(transport), [])
})

test('instanceReplyTopic: a name that no topic can have is told before anything is made', async () => {
  const broker = createMemoryBroker()
  const transport = connect(broker)
  const routing = instanceReplyTopic({ prefix: 'p'.repeat(200) })
  const opening = routing.open({
    transport,
    instanceId: 'i'.repeat(100),
    createTopics: false,
    clock: new ManualClock(),
    resumeFrom: undefined,
    pending: () => [],
    receive() {},
    unreadable() {},
    onTrouble() {},
    warn() {},
  })
  await assert.rejects(opening, /prefix and instance id has 300 characters/)
  assert.deepEqual(await topicsOf(transport), [])
})

test('what fails again and again is told once, and again after it has gone well', async () => {
  const clock = new ManualClock()
  const told: string[] = []
  const outcomes = ['a', 'a', 'a', 'b', undefined, 'b']
  const work = async (): Promise<void> => {
    const message = outcomes.shift()
    if (message !== undefined) throw new Error(message)
  }
  const housekeeping = new Housekeeping(clock, 10, work, (error) => void told.push(error.message))
  await clock.advance(60)
  await housekeeping.close()
  assert.deepEqual(told, ['a', 'b', 'b'])
  assert.equal(clock.timers, 0)
})

test('work that fails since the transport is closed ends without a word, and whatever is thrown is put into words', async () => {
  const clock = new ManualClock()
  const told: string[] = []
  const thrown: unknown[] = [undefined, Object.create(null), new TransportError('MILENA_CLOSED', 'closed')]
  const work = (): Promise<void> => Promise.reject(thrown.shift())
  const housekeeping = new Housekeeping(clock, 10, work, (error) => void told.push(error.message))
  await clock.advance(60)
  assert.deepEqual(told, ['undefined', 'a thrown object ([object Object])'])
  assert.equal(clock.timers, 0)
  await housekeeping.close()
})

test('a lease that somebody else wrote in another form is not a lease', async () => {
  const broker = createMemoryBroker({ topics: [{ name: 'replies', partitions: 3 }] })
  const transport = connect(broker)
  const leases = new LeaseTable(transport, 'replies')
  const group = 'milena-reply-owners.replies'
  for (const [partition, metadata] of ['', 'gw-1', 'gw-1 soon'].entries())
    await transport.writeCommittedOffsets(group, [{ topic: 'replies', partition, offset: 0, metadata }])
  assert.deepEqual(await leases.read(['replies']), [])
})
