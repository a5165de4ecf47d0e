import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { MilenaError } from '../src/errors.ts'
import { instanceReplyTopic } from '../src/routing/instance-reply-topic.ts'
import { LeaseTable } from '../src/routing/leases.ts'
import { replyPartition } from '../src/routing/reply-partition.ts'
import type { OpenReplyRouting, ReplyRouting } from '../src/routing/routing.ts'
import { sharedReplyTopic } from '../src/routing/shared-reply-topic.ts'
import { partitionForKey } from '../src/transport/partitioner.ts'
import { createMemoryBroker, type MemoryBroker } from '../src/transport/memory/broker.ts'
import type { Transport } from '../src/transport/transport.ts'
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

/** Opens a routing; the clock is advanced when one is given, since opening waits on it. */
async function open(
  routing: ReplyRouting,
  transport: Transport,
  instanceId: string,
  clock: ManualClock,
  warnings: Error[] = [],
): Promise<OpenReplyRouting> {
  const opening = routing.open({
    transport,
    instanceId,
    createTopics: true,
    clock,
    resumeFrom: undefined,
    pending: () => [],
    receive() {},
    unreadable() {},
    onTrouble() {},
    warn: (error) => void warnings.push(error),
  })
  const ticking = setInterval(() => void clock.advance(5), 5)
  return opening.finally(() => clearInterval(ticking))
}

test('replyPartition: instances that start one after the other get a partition each', async () => {
  const broker = createMemoryBroker()
  const clock = new ManualClock()
  const transport = connect(broker)
  const partitions = new Set<number>()
  for (let n = 0; n < 6; n++) {
    const routing = await open(
      replyPartition({ topic: 'replies', partitions: 6 }),
      transport,
      `gw-${n}`,
      clock,
    )
    opened.push(routing)
    partitions.add(routing.address().partition!)
  }
  assert.equal(partitions.size, 6)
})

test('replyPartition: instances that start at the same moment get a partition each', async () => {
  const broker = createMemoryBroker()
  const clock = new ManualClock()
  const transport = connect(broker)
  const routings = await Promise.all(
    Array.from({ length: 4 }, (_, n) =>
      open(replyPartition({ topic: 'replies', partitions: 12 }), transport, `gw-${n}`, clock),
    ),
  )
  opened.push(...routings)
  assert.equal(new Set(routings.map((routing) => routing.address().partition)).size, 4)
})

test('replyPartition: instances get a partition each also where taking one is slow, and for one slower than for another', async () => {
  const broker = createMemoryBroker()
  const clock = new ManualClock()
  let opening = true
  const slowly = (delay: number): Transport => {
    const transport = connect(broker)
    return Object.assign(Object.create(transport) as Transport, {
      tail: transport.tail.bind(transport),
      describeTopics: transport.describeTopics.bind(transport),
      createTopics: transport.createTopics.bind(transport),
      readCommittedOffsets: transport.readCommittedOffsets.bind(transport),
      async writeCommittedOffsets(...note: Parameters<Transport['writeCommittedOffsets']>) {
        if (opening) await new Promise<void>((resolve) => clock.schedule(delay, resolve))
        await transport.writeCommittedOffsets(...note)
      },
    })
  }
  // Both would like the same partition: the slower one takes it long after the other did.
  const ids = Array.from({ length: 100 }, (_, n) => `gw-${n}`)
  const [one, two] = ids.filter((id) => partitionForKey(Buffer.from(`${id} 0`), 12) === 7)
  const routing = replyPartition({ topic: 'replies', partitions: 12 })
  await connect(broker).createTopics([{ name: 'replies', partitions: 12 }])
  const routings = await Promise.all([
    open(routing, slowly(100), one!, clock),
    open(routing, slowly(400), two!, clock),
  ])
  opening = false // nobody turns the clock any more
  opened.push(...routings)
  assert.equal(new Set(routings.map((each) => each.address().partition)).size, 2)
})

test('replyPartition: with more instances than partitions some share one', async () => {
  const broker = createMemoryBroker()
  const clock = new ManualClock()
  const transport = connect(broker)
  for (let n = 0; n < 5; n++) {
    const routing = await open(
      replyPartition({ topic: 'replies', partitions: 2 }),
      transport,
      `gw-${n}`,
      clock,
    )
    opened.push(routing)
    assert.ok([0, 1].includes(routing.address().partition!))
  }
})

test('replyPartition: a partition is free again when its owner has closed, or has long been silent', async () => {
  const broker = createMemoryBroker()
  const clock = new ManualClock()
  const transport = connect(broker)
  const routing = replyPartition({ topic: 'replies', partitions: 1 })
  const first = await open(routing, transport, 'gw-1', clock)
  const leases = new LeaseTable(transport, 'replies')
  assert.equal((await leases.read(['replies']))[0]?.owner, 'gw-1')
  await first.close()
  assert.deepEqual(await leases.read(['replies']), [])
  await leases.write({ topic: 'replies', partition: 0, owner: 'killed', renewedAt: clock.now() - 31_000 })
  opened.push(await open(routing, transport, 'gw-2', clock))
  assert.equal((await leases.read(['replies']))[0]?.owner, 'gw-2')
})

test('replyPartition: a living owner renews its lease', async () => {
  const broker = createMemoryBroker()
  const clock = new ManualClock()
  const transport = connect(broker)
  opened.push(await open(replyPartition({ topic: 'replies', partitions: 1 }), transport, 'gw-1', clock))
  const leases = new LeaseTable(transport, 'replies')
  const [before] = await leases.read(['replies'])
  await clock.advance(11_000)
  const [after] = await leases.read(['replies'])
  assert.ok(after!.renewedAt - before!.renewedAt >= 10_000)
})

test('replyPartition: without the right to keep leases it still works, and says so', async () => {
  const broker = createMemoryBroker({ topics: [{ name: 'replies', partitions: 4 }] })
  const clock = new ManualClock()
  const transport = connect(broker)
  const refusing: Transport = Object.create(transport, {
    readCommittedOffsets: {
      value: () => Promise.reject(new MilenaError('MILENA_NOT_AUTHORIZED', 'no right on the group')),
    },
    writeCommittedOffsets: {
      value: () => Promise.reject(new MilenaError('MILENA_NOT_AUTHORIZED', 'no right on the group')),
    },
    tail: { value: transport.tail.bind(transport) },
    describeTopics: { value: transport.describeTopics.bind(transport) },
  }) as Transport
  const warnings: Error[] = []
  const routing = await open(replyPartition({ topic: 'replies' }), refusing, 'gw-1', clock, warnings)
  opened.push(routing)
  assert.ok(routing.address().partition! < 4)
  assert.match(warnings[0]!.message, /no right/)
})

test('a missing reply topic is an error that names it', async () => {
  const broker = createMemoryBroker()
  const transport = connect(broker)
  for (const routing of [replyPartition({ topic: 'none' }), sharedReplyTopic({ topic: 'none' })]) {
    await assert.rejects(
      routing.open({
        transport,
        instanceId: 'gw',
        createTopics: false,
        clock: new ManualClock(),
        resumeFrom: undefined,
        pending: () => [],
        receive() {},
        unreadable() {},
        onTrouble() {},
        warn() {},
      }),
      (error: unknown) =>
        error instanceof MilenaError && error.code === 'MILENA_TOPIC_MISSING' && /none/.test(error.message),
    )
  }
})

test('instanceReplyTopic: the topic is made at the start and removed at close', async () => {
  const broker = createMemoryBroker()
  const clock = new ManualClock()
  const transport = connect(broker)
  const routing = await open(
    instanceReplyTopic({ prefix: 'replies_', partitions: 6 }),
    transport,
    'gw-1',
    clock,
  )
  assert.equal(routing.address().topic, 'replies_gw-1')
  assert.equal((await transport.describeTopics()).get('replies_gw-1')?.partitions, 6)
  await routing.close()
  assert.equal((await transport.describeTopics()).size, 0)
  assert.equal(clock.timers, 0)
})

test('instanceReplyTopic: the topic of an owner long gone is swept, a living owner’s never', async () => {
  const broker = createMemoryBroker({ topics: [{ name: 'replies_archive', partitions: 1 }] })
  const clock = new ManualClock()
  const transport = connect(broker)
  const routing = instanceReplyTopic({ prefix: 'replies_', sweepAfter: 60_000 })
  opened.push(await open(routing, transport, 'living', clock))
  opened.push(await open(routing, transport, 'watching', clock))
  await transport.createTopics([{ name: 'replies_killed', partitions: 1 }])
  await new LeaseTable(transport, 'replies_').write({
    topic: 'replies_killed',
    partition: 0,
    owner: 'killed',
    renewedAt: clock.now(),
  })
  await clock.advance(55_000)
  assert.ok((await transport.describeTopics()).has('replies_killed'), 'swept before its time')
  await clock.advance(30_000)
  const topics = [...(await transport.describeTopics()).keys()].toSorted()
  assert.deepEqual(topics, ['replies_archive', 'replies_living', 'replies_watching'])
})

test('instanceReplyTopic: a watcher that was stopped for long takes nobody’s topic', async () => {
  const broker = createMemoryBroker()
  const clock = new ManualClock()
  const stopped = new ManualClock()
  const transport = connect(broker)
  const routing = instanceReplyTopic({ prefix: 'replies_', sweepAfter: 60_000 })
  opened.push(await open(routing, transport, 'living', clock))
  opened.push(await open(routing, transport, 'stopped', stopped))
  await stopped.advance(20_000)
  // The process stands still for an hour. When it goes on, its next look may come before any news of the living one.
  const before = stopped.monotonic.bind(stopped)
  stopped.monotonic = () => before() + 3_600_000
  await stopped.advance(10_000)
  assert.ok((await transport.describeTopics()).has('replies_living'))
})

test('every problem of a routing’s options is listed', () => {
  assert.throws(
    () => replyPartition({ topic: 'a b', partition: -1, partitions: 0 }),
    /topic.*partition must.*partitions must/,
  )
  assert.throws(() => sharedReplyTopic({ topic: '', partitions: 0.5 }), /topic.*partitions/)
  assert.throws(() => instanceReplyTopic({ prefix: '/', sweepAfter: 1 }), /prefix.*sweepAfter/)
})
