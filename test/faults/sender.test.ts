/**
 * The sender on a three-broker Apache Kafka whose brokers are killed, stopped and restarted under load.
 * One cluster for all; each test owns its topic and leaves every broker running.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, test, type TestContext } from 'node:test'
import type { Transport } from '../../packages/request-reply/src/transport/transport.ts'
import { MilenaError } from '../../packages/request-reply/src/errors.ts'
import { Connections } from '../../packages/request-reply/src/transport/kafka/connection/connections.ts'
import { Metadata, type Leader } from '../../packages/request-reply/src/transport/kafka/cluster/metadata.ts'
import { openKafka } from '../../packages/request-reply/src/transport/kafka/open-kafka.ts'
import { resolveKafkaOptions } from '../../packages/request-reply/src/transport/kafka/options.ts'
import { KafkaSenderCluster } from '../../packages/request-reply/src/transport/kafka/sending/sender-cluster.ts'
import { Sender } from '../../packages/request-reply/src/transport/kafka/sending/sender.ts'
import { startKafka, type KafkaCluster } from '../../tools/kafka/cluster.ts'
import type { KafkaNode } from '../../tools/kafka/node.ts'
import { uniqueName } from '../support/cluster.ts'
import { startProxy } from '../support/proxy.ts'
import { acknowledgedSince, assertLog, readLog, startLoad } from '../support/load.ts'
import { waitFor } from '../support/wait-for.ts'
import { mendCluster } from './faulty-cluster.ts'

const partitions = 6
const rate = 300

let cluster: KafkaCluster
const open = new Set<Transport>()

before(async () => {
  // Kafka's default of 9 s only makes the tests longer: what is tested begins with the election.
  cluster = await startKafka({
    configs: { 'broker.session.timeout.ms': '4000', 'broker.heartbeat.interval.ms': '500' },
  })
})
afterEach(async () => {
  await Promise.all([...open].map((transport) => transport.close()))
  open.clear()
  await mendCluster(cluster)
})
after(() => cluster?.close())

async function connect(options: { deliveryTimeout?: number } = {}): Promise<Transport> {
  const transport = await openKafka({ brokers: cluster.brokers, ...options })
  open.add(transport)
  return transport
}

async function newTopic(transport: Transport): Promise<string> {
  const topic = uniqueName('sender-faults')
  await transport.createTopics([{ name: topic, partitions, replicationFactor: 3 }])
  return topic
}

async function ledBy(topic: string, node: KafkaNode): Promise<number[]> {
  const leaders = await Promise.all(
    Array.from({ length: partitions }, (_, partition) => cluster.leaderOf(topic, partition)),
  )
  return leaders.flatMap((leader, partition) => (leader.id === node.id ? [partition] : []))
}

/** Load, fault, election, recovery, mending; then the log must be whole. */
async function survives(
  t: TestContext,
  pick: (topic: string) => Promise<KafkaNode>,
  fault: (node: KafkaNode) => Promise<void>,
  mend: (node: KafkaNode) => Promise<void>,
): Promise<void> {
  const transport = await connect()
  const topic = await newTopic(transport)
  const load = startLoad(transport, topic, partitions, rate)
  await waitFor(() => load.records.filter((one) => one.position).length > rate, { what: 'a second of load' })
  const victim = await pick(topic)
  const lost = await ledBy(topic, victim)
  await fault(victim)
  for (const partition of lost) {
    await waitFor(async () => (await cluster.leaderOf(topic, partition)).id !== victim.id, {
      what: 'the election',
    })
  }
  const elected = performance.now()
  const gap = await acknowledgedSince(load, lost, elected)
  t.diagnostic(`going on ${Math.round(gap)} ms after the election was seen, in partitions ${lost.join(', ')}`)
  await mend(victim)
  const back = performance.now()
  await acknowledgedSince(load, [...Array.from({ length: partitions }).keys()], back)
  await load.stop()

  const failed = load.records.filter((one) => one.error !== undefined)
  assert.deepEqual(failed.map((one) => one.error).slice(0, 3), [], `${failed.length} records were rejected`)
  const log = await readLog(transport, topic, partitions)
  assertLog(log, load.records)
  const total = log.reduce((sum, values) => sum + values.length, 0)
  assert.equal(total, load.records.length, 'each record is in the log once')
  const slowest = Math.max(...load.records.map((one) => one.settledAt! - one.sentAt))
  t.diagnostic(`${total} records, the slowest took ${Math.round(slowest)} ms`)
}

const leader = (topic: string): Promise<KafkaNode> => cluster.leaderOf(topic, 0)

test('a leader killed under load: no record lost, out of order or twice', (t) =>
  survives(
    t,
    leader,
    (node) => node.kill('SIGKILL'),
    (node) => node.restart(),
  ))

test('a leader that hangs under load and comes back: no record lost, out of order or twice', (t) =>
  survives(
    t,
    leader,
    (node) => node.kill('SIGSTOP'),
    (node) => node.kill('SIGCONT'),
  ))

test('a leader restarted under load: no record lost, out of order or twice', (t) =>
  survives(
    t,
    leader,
    (node) => node.stop(),
    (node) => node.restart(),
  ))

test('the controller killed under load: no record lost, out of order or twice', (t) =>
  survives(
    t,
    () => cluster.controller(),
    (node) => node.kill('SIGKILL'),
    (node) => node.restart(),
  ))

test('a topic deleted under load: a clear error for what is on its way and for what comes later', async () => {
  const transport = await connect()
  const topic = await newTopic(transport)
  const load = startLoad(transport, topic, partitions, rate)
  await waitFor(() => load.records.filter((one) => one.position).length > 50, { what: 'some load' })
  await transport.deleteTopics([topic])
  await waitFor(() => load.records.some((one) => one.error), { what: 'an error' })
  await load.stop()
  const codes = new Set(load.records.filter((one) => one.error).map((one) => (one.error as MilenaError).code))
  assert.deepEqual([...codes], ['MILENA_TOPIC_MISSING'])
  const late = transport.send({ topic, partition: 0, key: null, value: null, headers: [] })
  await assert.rejects(late, { code: 'MILENA_TOPIC_MISSING', sent: 'no' })
})

test('connections cut again and again under load: no record lost, out of order or twice', async (t) => {
  const transport = await connect()
  const topic = await newTopic(transport)
  const connections = new Connections(resolveKafkaOptions({ brokers: cluster.brokers }))
  const metadata = new Metadata(connections)
  const proxies = await Promise.all(
    cluster.nodes.map((node) => startProxy(() => ({ host: '127.0.0.1', port: node.port }))),
  )
  /** Brokers advertise themselves: what the sender is told is to go through the proxies. */
  class ProxiedCluster extends KafkaSenderCluster {
    override leader(name: string, partition: number): Leader | undefined {
      const leader = super.leader(name, partition)
      if (leader === undefined) return undefined
      const proxy = proxies[cluster.nodes.findIndex(({ port }) => port === leader.node.port)]!
      return { ...leader, node: { ...leader.node, port: Number(proxy.address.split(':')[1]) } }
    }
  }
  const timeouts = { deliveryTimeout: 120_000, closeTimeout: 2_000 }
  const sender = new Sender(new ProxiedCluster(connections, metadata), {
    compression: 'none',
    batchSize: 900_000,
    linger: 0,
    ...timeouts,
  })
  const load = startLoad(sender, topic, partitions, rate)
  let cuts = 0
  try {
    for (let round = 0; cuts < 150; round++) {
      const before = load.records.filter((one) => one.settledAt).length
      await waitFor(() => load.records.filter((one) => one.settledAt).length > before + 5, {
        what: 'progress',
        interval: 3,
      })
      cuts += proxies[round % proxies.length]!.cut()
    }
    await load.stop()
  } finally {
    await sender.close()
    await metadata.close()
    await connections.close()
    await Promise.all(proxies.map((proxy) => proxy.close()))
  }
  assert.deepEqual(load.records.filter((one) => one.error).slice(0, 3), [])
  const log = await readLog(transport, topic, partitions)
  assertLog(log, load.records)
  assert.equal(log.flat().length, load.records.length, 'each record is in the log once')
  t.diagnostic(`${load.records.length} records through ${cuts} cuts`)
})

test('with every broker gone: records end at their deadline, and close() ends and rejects the rest', async () => {
  const transport = await connect({ deliveryTimeout: 1_500 })
  const topic = await newTopic(transport)
  const send = (): Promise<unknown> =>
    transport.send({ topic, partition: 0, key: null, value: Buffer.from('x'), headers: [] })
  // Its time is short: a busy machine may need more for the first one.
  await waitFor(() => send(), { what: 'a record to be acknowledged' })
  try {
    await Promise.all(cluster.nodes.map((node) => node.kill('SIGSTOP')))
    const hung = send()
    await assert.rejects(hung, { code: 'MILENA_SEND_UNKNOWN', sent: 'unknown', outcomeKnown: false })
    const behind = send()
    await assert.rejects(behind, (error: MilenaError) => error.sent !== 'yes')
    const last = send()
    const rejected = assert.rejects(
      last,
      (error: MilenaError) => error.code === 'MILENA_CLOSED' || error.sent === 'unknown',
    )
    await transport.close()
    await rejected
  } finally {
    await Promise.all(cluster.nodes.map((node) => node.kill('SIGCONT')))
  }
})
