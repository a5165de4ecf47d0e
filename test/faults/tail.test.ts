/** Tails on a cluster of three brokers of which one is killed, hung or restarted at a time, under load. */
import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import { Producer } from '@platformatic/kafka'
import type { MilenaError } from '../../packages/request-reply/src/errors.ts'
import type { IncomingRecord, Tail } from '../../packages/request-reply/src/transport/transport.ts'
import { findLeader } from '../../tools/kafka/inspect.ts'
import type { KafkaNode } from '../../tools/kafka/node.ts'
import { waitFor } from '../support/wait-for.ts'
import { useFaultyCluster } from './faulty-cluster.ts'
import { startLoad, type Load } from './load.ts'

const PARTITIONS = 6
/** Only bounds a hang. */
const patience = 180_000
/** For a whole suite, not for each of its tests. */
const SUITE = 30 * 60_000

const cluster = useFaultyCluster()

interface Reading {
  readonly tail: Tail
  readonly byPartition: readonly IncomingRecord[][]
  readonly errors: Error[]
}

async function read(topic: string, partitions: number, from = cluster.transport): Promise<Reading> {
  const byPartition = Array.from({ length: partitions }, (): IncomingRecord[] => [])
  const errors: Error[] = []
  const tail = await from.tail({
    topic,
    partitions: 'all',
    from: 'latest',
    onRecords: (records) => byPartition[records[0]!.partition]!.push(...records),
    onError: (error) => errors.push(error),
  })
  cluster.closeLater(() => tail.close())
  return { tail, byPartition, errors }
}

async function newTopic(name: string, partitions = PARTITIONS, replicationFactor = 3): Promise<string> {
  await cluster.createTopic({ name, partitions, replicationFactor })
  return name
}

/** Offsets in order without a gap or repetition, and at each what was acknowledged there. */
function assertComplete(reading: Reading, load: Load): void {
  for (const [partition, records] of reading.byPartition.entries()) {
    const first = records[0]?.offset ?? 0
    assert.deepEqual(
      records.map(({ offset }) => offset),
      records.map((_, index) => first + index),
      `partition ${partition}: every offset once, in order`,
    )
    const read = new Map(records.map(({ offset, value }) => [offset, String(value)]))
    for (const [offset, value] of load.acknowledged[partition]!) assert.equal(read.get(offset), value)
  }
}

function caughtUp(reading: Reading, load: Load): boolean {
  return reading.byPartition.every(
    (records, partition) =>
      (records.at(-1)?.offset ?? -1) >= Math.max(-1, ...load.acknowledged[partition]!.keys()),
  )
}

/** Something that was sent after now has been read in every partition. */
async function readsOn(reading: Reading): Promise<void> {
  const before = reading.byPartition.map((records) => records.length)
  await waitFor(() => reading.byPartition.every((records, index) => records.length > before[index]! + 5), {
    what: 'every partition to be read on',
    timeout: patience,
  })
}

/** Under load: the fault, then everything goes on, then nothing is missing. */
async function survives(
  context: TestContext,
  topic: string,
  fault: (reading: Reading) => Promise<void>,
): Promise<void> {
  await newTopic(topic)
  const reading = await read(topic, PARTITIONS)
  const load = startLoad(await cluster.connect(), topic, PARTITIONS)
  await readsOn(reading)
  const began = performance.now()
  await fault(reading)
  await readsOn(reading)
  context.diagnostic(
    `all partitions read again ${Math.round(performance.now() - began)} ms after the fault began`,
  )
  await load.stop()
  await waitFor(() => caughtUp(reading, load), {
    what: 'everything acknowledged to be read',
    timeout: patience,
  })
  assertComplete(reading, load)
  assert.deepEqual(reading.errors, [], 'ordinary failover is not reported')
  context.diagnostic(`${load.sent} sent, ${load.failures.length} rejected`)
}

describe('a tail under load loses nothing, repeats nothing, keeps the order', { timeout: SUITE }, () => {
  test('when a leader is killed and its partitions get different new leaders (trap N1)', async (context) => {
    let leader: KafkaNode | undefined
    await survives(context, 'leader-killed', async () => {
      leader = await cluster.kafka.leaderOf('leader-killed', 0)
      await leader.kill('SIGKILL')
    })
  })

  test('when a leader hangs, also for a tail whose first bootstrap broker it is (traps N2, N3)', async (context) => {
    await survives(context, 'leader-hung', async () => {
      const leader = await cluster.kafka.leaderOf('leader-hung', 0)
      await leader.kill('SIGSTOP')
      const rest = cluster.kafka.brokers.filter((address) => address !== leader.address)
      const other = await cluster.connect([leader.address, ...rest])
      const late = await read('leader-hung', PARTITIONS, other)
      await readsOn(late)
    })
  })

  test('when a leader is restarted, and then it is asked that leads, not a follower (trap N10)', async (context) => {
    await survives(context, 'leader-restarted', async () => {
      const leader = await cluster.kafka.leaderOf('leader-restarted', 0)
      await leader.restart()
    })
  })

  test('when the controller is killed', async (context) => {
    await survives(context, 'controller-killed', async () => {
      const controller = await cluster.kafka.controller()
      await controller.kill('SIGKILL')
    })
  })
})

describe('a tail', { timeout: SUITE }, () => {
  test('goes on with the other partitions when one has no leader at all (trap N6)', async () => {
    const topic = await newTopic('offline', 3, 1)
    const reading = await read(topic, 3)
    const gone = await cluster.kafka.leaderOf(topic, 0)
    await gone.kill('SIGKILL')
    const living = cluster.kafka.nodes.filter((node) => node !== gone)
    const leaderless = async (): Promise<boolean> => {
      const leaders = await Promise.all(living.map(({ address }) => findLeader(address, topic, 0)))
      return leaders.every((leader) => leader === undefined)
    }
    await waitFor(leaderless, { what: 'every broker to know that it has no leader', timeout: patience })
    const others = [1, 2]
    // The second ones are sent when the tail has asked who leads, and was told that nobody does.
    for (const count of [1, 2]) {
      for (const partition of others) {
        await cluster.transport.send({ topic, partition, key: null, value: Buffer.from('v'), headers: [] })
      }
      await waitFor(() => others.every((partition) => reading.byPartition[partition]!.length === count), {
        what: 'the other partitions',
        timeout: patience,
      })
    }
    await gone.restart()
    await cluster.transport.send({ topic, partition: 0, key: null, value: Buffer.from('v'), headers: [] })
    await waitFor(() => reading.byPartition[0]!.length > 0, {
      what: 'the partition again',
      timeout: patience,
    })
  })

  test('of a deleted topic reports it once and reads the new one from its first record (trap 13)', async () => {
    const topic = await newTopic('recreated', 2)
    const other = await newTopic('stays', 1)
    const [reading, beside] = [await read(topic, 2), await read(other, 1)]
    await cluster.transport.send({ topic, partition: 0, key: null, value: Buffer.from('old'), headers: [] })
    await waitFor(() => reading.byPartition[0]!.length === 1, { what: 'the old record' })
    await cluster.transport.deleteTopics([topic])
    await waitFor(() => reading.errors.length > 0, { what: 'an error' })
    assert.equal((reading.errors[0] as MilenaError).code, 'MILENA_TOPIC_MISSING')
    await cluster.transport.send({
      topic: other,
      partition: 0,
      key: null,
      value: Buffer.from('v'),
      headers: [],
    })
    await waitFor(() => beside.byPartition[0]!.length === 1, { what: 'the other topic to be read on' })
    await newTopic(topic, 2)
    for (const value of ['new 1', 'new 2']) {
      await cluster.transport.send({ topic, partition: 0, key: null, value: Buffer.from(value), headers: [] })
    }
    await waitFor(() => reading.byPartition[0]!.length >= 3, { what: 'the new records' })
    assert.deepEqual(
      reading.byPartition[0]!.map(({ value, offset }) => [String(value), offset]),
      [
        ['old', 0],
        ['new 1', 0],
        ['new 2', 1],
      ],
    )
    assert.equal(reading.errors.length, 1)
    assert.deepEqual(beside.errors, [])
  })

  test('hands over what transactions have committed, and nothing of those that were aborted', async () => {
    const topic = await newTopic('transactions', 1)
    const reading = await read(topic, 1)
    const producer = new Producer({
      clientId: 'transactions',
      bootstrapBrokers: cluster.kafka.brokers,
      idempotent: true,
      transactionalId: 'transactions',
    })
    cluster.closeLater(() => producer.close(true))
    for (const [value, ends] of [
      ['kept 1', 'commit'],
      ['dropped 1', 'abort'],
      ['dropped 2', 'abort'],
      ['kept 2', 'commit'],
    ] as const) {
      const transaction = await producer.beginTransaction()
      const messages = [0, 1, 2].map((n) => ({ topic, partition: 0, value: Buffer.from(`${value}.${n}`) }))
      await transaction.send({ messages, acks: -1 })
      await transaction[ends]()
    }
    await cluster.transport.send({ topic, partition: 0, key: null, value: Buffer.from('end'), headers: [] })
    const values = (): string[] => reading.byPartition[0]!.map(({ value }) => String(value))
    await waitFor(() => values().includes('end'), { what: 'the last record' })
    assert.deepEqual(values(), [
      'kept 1.0',
      'kept 1.1',
      'kept 1.2',
      'kept 2.0',
      'kept 2.1',
      'kept 2.2',
      'end',
    ])
  })
})
