/** Which address an instance has, after a restart too, and who else has it. */
import assert from 'node:assert/strict'
import { afterEach, mock, test } from 'node:test'
import { OptionsError, TransportError } from '../src/errors.ts'
import { instanceReplyTopic } from '../src/routing/instance-reply-topic.ts'
import { LeaseTable } from '../src/routing/leases.ts'
import { openRouting, type CompleteReplyRouting } from '../src/routing/open-routing.ts'
import { replyPartition } from '../src/routing/reply-partition.ts'
import { startOf } from '../src/routing/resume.ts'
import type { ReplyRouting, RoutingContext } from '../src/routing/routing.ts'
import { createMemoryBroker, type MemoryBroker } from '../src/transport/memory/broker.ts'
import type { IncomingRecord, Transport, Trouble } from '../src/transport/transport.ts'
import { ManualClock } from './manual-clock.ts'

const opened: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const thing of opened.splice(0).toReversed()) await thing.close()
})

function connect(broker: MemoryBroker): Transport {
  const transport = broker.connect()
  opened.push(transport)
  return transport
}

interface Instance {
  readonly routing: CompleteReplyRouting
  readonly transport: Transport
  readonly received: IncomingRecord[]
  readonly warnings: Error[]
}

/** Opens a routing on a transport of its own; the clock is advanced meanwhile, since opening waits on it. */
async function open(
  broker: MemoryBroker,
  clock: ManualClock,
  routing: ReplyRouting,
  options: Partial<RoutingContext> = {},
): Promise<Instance> {
  const transport = options.transport ?? connect(broker)
  const warnings: Error[] = []
  const received: IncomingRecord[] = []
  const opening = openRouting(routing, {
    transport,
    instanceId: 'gw-1',
    createTopics: true,
    resumeFrom: undefined,
    pending: () => [],
    clock,
    receive: (records) => void received.push(...records),
    unreadable() {},
    onTrouble() {},
    warn: (error) => void warnings.push(error),
    ...options,
  })
  const settled = opening.then(
    () => true,
    () => true,
  )
  do await clock.advance(20)
  while (!(await Promise.race([settled, Promise.resolve(false)])))
  const opened = await opening
  return { routing: opened, transport, received, warnings }
}

const topic = 'replies'
const twelve = replyPartition({ topic })

test('replyPartition: after a kill an instance comes back to the partition that its own lease names', async () => {
  for (const silent of [1_000, 3_600_000]) {
    const broker = createMemoryBroker({ topics: [{ name: topic, partitions: 12 }] })
    const clock = new ManualClock()
    const transport = connect(broker)
    const leases = new LeaseTable(transport, topic)
    const byHash = await open(broker, clock, twelve)
    const hashed = byHash.routing.address().partition!
    await byHash.routing.close()
    // Where it was since that one was taken when it started.
    const before = (hashed + 5) % 12
    const now = clock.now()
    await leases.write({ topic, partition: before, owner: 'gw-1', renewedAt: now - silent })
    await leases.write({ topic, partition: (hashed + 7) % 12, owner: 'gw-1', renewedAt: now - silent - 1 })
    await leases.write({ topic, partition: 11 - before, owner: 'another', renewedAt: now })
    const again = await open(broker, clock, twelve)
    assert.equal(again.routing.address().partition, before, `after ${silent} ms`)
    opened.push(again.routing)
  }
})

test('replyPartition: positions to resume from decide the partition', async () => {
  const broker = createMemoryBroker({ topics: [{ name: topic, partitions: 12 }] })
  const clock = new ManualClock()
  const leases = new LeaseTable(connect(broker), topic)
  await leases.write({ topic, partition: 7, owner: 'another', renewedAt: clock.now() })
  await leases.write({ topic, partition: 3, owner: 'gw-1', renewedAt: clock.now() })
  const resumeFrom = [{ topic, partition: 7, offset: 0 }]
  const { routing } = await open(broker, clock, twelve, { resumeFrom })
  opened.push(routing)
  assert.equal(routing.address().partition, 7)
  await clock.advance(1)
  assert.equal((await leases.read([topic])).find(({ partition }) => partition === 7)?.owner, 'gw-1')
  await assert.rejects(
    open(broker, clock, replyPartition({ topic, partition: 2 }), { resumeFrom }),
    (error) => error instanceof OptionsError && /replies\[7\].*reads replies\[2\]/.test(error.message),
  )
})

test('replyPartition: a partition that the topic does not have is an error at the start', async () => {
  const broker = createMemoryBroker({ topics: [{ name: topic, partitions: 12 }] })
  const clock = new ManualClock()
  await assert.rejects(
    open(broker, clock, replyPartition({ topic, partition: 99 })),
    (error) => error instanceof OptionsError && /partition 99.*replies has 12/.test(error.message),
  )
  const made = await open(broker, clock, replyPartition({ topic: 'made', partition: 20 }))
  opened.push(made.routing)
  assert.equal((await made.transport.describeTopics()).get('made')?.partitions, 21)
})

/** For how long an instance looks out for another one that took its partition, when taking it lasted for so long. */
async function lookout(taking: number): Promise<readonly number[]> {
  const broker = createMemoryBroker({ topics: [{ name: topic, partitions: 12 }] })
  const clock = new ManualClock()
  const transport = connect(broker)
  const waits: number[] = []
  let taken = false
  const schedule = clock.schedule.bind(clock)
  mock.method(clock, 'schedule', (delay: number, run: () => void) => {
    if (taken) waits.push(delay)
    return schedule(delay, run)
  })
  const write = transport.writeCommittedOffsets.bind(transport)
  mock.method(transport, 'writeCommittedOffsets', async (...given: Parameters<typeof write>) => {
    await new Promise<void>((resolve) => schedule(taking, resolve))
    await write(...given)
    taken = true
  })
  const read = transport.readCommittedOffsets.bind(transport)
  mock.method(transport, 'readCommittedOffsets', (...given: Parameters<typeof read>) => {
    taken = false
    return read(...given)
  })
  const { routing } = await open(broker, clock, twelve, { transport })
  mock.restoreAll()
  opened.push(routing)
  return waits
}

test('replyPartition: whoever took its partition in an election does not wait as much longer for who took it, too', async () => {
  const [quick] = await lookout(0)
  assert.ok(quick! >= 50 && quick! < 500, `${quick} ms`)
  assert.deepEqual(await lookout(9_000), [500])
})

test('replyPartition: of two that share a partition the one that closes leaves the other its lease', async () => {
  const broker = createMemoryBroker({ topics: [{ name: topic, partitions: 1 }] })
  const clock = new ManualClock()
  const one = await open(broker, clock, twelve, { instanceId: 'one' })
  const two = await open(broker, clock, twelve, { instanceId: 'two' })
  opened.push(two.routing)
  await one.routing.close()
  assert.equal((await new LeaseTable(two.transport, topic).read([topic]))[0]?.owner, 'two')
  assert.deepEqual([one.warnings, two.warnings], [[], []])
})

for (const strategy of [twelve, instanceReplyTopic({ prefix: 'replies_' })]) {
  test(`${strategy.name}: an instance id that a living instance has is refused, with who has it and until when`, async () => {
    const broker = createMemoryBroker()
    const clock = new ManualClock()
    const living = await open(broker, clock, strategy)
    opened.push(living.routing)
    await clock.advance(7_000)
    const address = living.routing.address()
    await assert.rejects(open(broker, clock, strategy), (error: OptionsError) => {
      assert.equal(error.code, 'MILENA_OPTIONS_INVALID')
      const until = /until (\S+Z)/.exec(error.message)?.[1]
      const left = Date.parse(until!) - clock.now()
      assert.ok(left > 29_000 && left <= 30_000, `${until}, asked at ${new Date(clock.now()).toISOString()}`)
      assert.match(error.message, new RegExp(`instanceId gw-1: a living instance, process ${process.pid}@`))
      assert.ok(error.message.includes(`${address.topic}[${address.partition ?? 0}]`), error.message)
      return true
    })
    // What is refused has taken nothing away, and the question is no reply.
    assert.ok((await living.transport.describeTopics()).has(address.topic))
    assert.deepEqual([living.received, living.warnings], [[], []])
    const other = await open(broker, clock, strategy, { instanceId: 'gw-2' })
    opened.push(other.routing)
    await living.routing.close()
    opened.push((await open(broker, clock, strategy)).routing)
  })

  test(`${strategy.name}: a living instance’s id is not refused to whoever has taken the journal under it`, async () => {
    const broker = createMemoryBroker()
    const clock = new ManualClock()
    const fenced = await open(broker, clock, strategy)
    await clock.advance(1_000)
    const successor = await open(broker, clock, strategy, { idIsOurs: true })
    opened.push(fenced.routing, successor.routing)
    assert.deepEqual(successor.routing.address(), fenced.routing.address())
  })

  test(`${strategy.name}: an instance id that a killed instance had is free after a second`, async () => {
    const broker = createMemoryBroker()
    const clock = new ManualClock()
    const killed = await open(broker, clock, strategy)
    await killed.transport.close()
    const before = clock.now()
    const successor = await open(broker, clock, strategy)
    opened.push(successor.routing)
    assert.deepEqual(successor.routing.address(), killed.routing.address())
    assert.ok(clock.now() - before < 2_000, `${clock.now() - before} ms`)
    // A question of its own that it reads is answered, and harms nothing.
    await clock.advance(60_000)
    assert.deepEqual([successor.received, successor.warnings], [[], []])
  })

  test(`${strategy.name}: two living instances under one instance id are told, once each, when the first was held up`, async () => {
    const broker = createMemoryBroker()
    const clock = new ManualClock()
    const one = await open(broker, clock, strategy)
    await clock.advance(3_000)
    const transport = connect(broker)
    transport.send = () => Promise.reject(new TransportError('MILENA_NOT_SENT', 'the question never arrives'))
    const two = await open(broker, clock, strategy, { transport })
    opened.push(one.routing, two.routing)
    await clock.advance(60_000)
    for (const { warnings } of [one, two]) {
      assert.equal(warnings.length, 1, String(warnings))
      assert.match(warnings[0]!.message, /instanceId gw-1: another living instance/)
    }
  })

  test(`${strategy.name}: a successor is no second owner, though a renewal of its predecessor arrives late`, async () => {
    const broker = createMemoryBroker()
    const clock = new ManualClock()
    const killed = await open(broker, clock, strategy)
    await clock.advance(25_000)
    await killed.transport.close()
    const late = clock.now() - 1
    const successor = await open(broker, clock, strategy)
    opened.push(successor.routing)
    await clock.advance(5_000)
    const { topic, partition = 0 } = successor.routing.address()
    const leases = new LeaseTable(successor.transport, strategy === twelve ? topic : 'replies_')
    await leases.write({ topic, partition, owner: 'gw-1', renewedAt: late })
    await clock.advance(60_000)
    assert.deepEqual([killed.warnings, successor.warnings], [[], []])
  })
}

test('instanceReplyTopic: an opening that fails leaves what stood in the topic before', async () => {
  const broker = createMemoryBroker({ topics: [{ name: 'replies_gw-1', partitions: 1 }] })
  const clock = new ManualClock()
  const transport = connect(broker)
  transport.tail = () => Promise.reject(new TransportError('MILENA_NOT_AUTHORIZED', 'may not read'))
  for (const instanceId of ['gw-1', 'gw-2']) {
    const opening = open(broker, clock, instanceReplyTopic({ prefix: 'replies_' }), { transport, instanceId })
    await assert.rejects(opening, /may not read/)
  }
  assert.deepEqual([...(await transport.describeTopics()).keys()], ['replies_gw-1'])
})

test('resuming begins at the lowest position of each partition, and at the first record of one that none names', () => {
  const at = (partition: number, offset: number): { topic: string; partition: number; offset: number } => ({
    topic,
    partition,
    offset,
  })
  assert.equal(startOf('any', undefined, topic, [0]), 'latest')
  assert.equal(startOf('any', [], topic, [0]), 'latest')
  assert.deepEqual(startOf('any', [at(1, 9), at(0, 4), at(1, 7)], topic, [0, 1, 2]), [
    at(0, 4),
    at(1, 7),
    at(2, 0),
  ])
  assert.throws(
    () => startOf('any', [at(0, -1), at(5, 1), { ...at(0, 1), topic: 'a\nb' }], topic, [0, 1]),
    (error) => error instanceof OptionsError && error.problems.length === 3 && !error.message.includes('\n'),
  )
})

test('what a routing of the user’s own leaves out is filled in', async () => {
  const told: (readonly Trouble[])[] = []
  let context: RoutingContext | undefined
  const own: ReplyRouting = {
    name: 'own',
    async open(given) {
      context = given
      return { address: () => ({ topic }), close: () => Promise.resolve() }
    },
  }
  const broker = createMemoryBroker()
  const { routing } = await open(broker, new ManualClock(), own, {
    onTrouble: (list) => void told.push(list),
  })
  assert.deepEqual([routing.troubles(), routing.positions()], [[], []])
  await routing.caughtUp()
  const list: Trouble[] = [{ kind: 'refused', since: 1, error: new Error('no') }]
  context!.onTrouble(list)
  assert.equal(routing.troubles(), list)
  assert.deepEqual(told, [list])
})
