import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import {
  Consumer,
  MessagesStreamModes,
  ProduceAcks,
  Producer,
  stringDeserializers,
  stringSerializers,
} from '@platformatic/kafka'
import kafkajs from 'kafkajs'
import { startEmbeddedKafka } from '../src/index.ts'
import type { EmbeddedKafka } from '../src/index.ts'
import { until } from './support/until.ts'

const noKcat = spawnSync('kcat', ['-V']).error ? 'kcat is not installed' : false
const run = promisify(execFile)

/** Produces `count` records with the values `from`, `from + 1`, … over all partitions of `t`. */
async function produce(kafka: EmbeddedKafka, from: number, count: number): Promise<void> {
  const producer = new Producer({
    clientId: 'producer',
    bootstrapBrokers: [...kafka.brokers],
    serializers: stringSerializers,
  })
  const messages = Array.from({ length: count }, (_, index) => {
    return { topic: 't', key: `k${from + index}`, value: String(from + index) }
  })
  await producer.send({ messages, acks: ProduceAcks.ALL })
  await producer.close()
}

function range(end: number): number[] {
  return Array.from({ length: end }, (_, value) => value)
}

function kafkajsMember(kafka: EmbeddedKafka, seen: Set<number>) {
  const client = new kafkajs.Kafka({
    brokers: [...kafka.brokers],
    clientId: 'kafkajs',
    logLevel: kafkajs.logLevel.NOTHING,
  })
  const consumer = client.consumer({ groupId: 'g', heartbeatInterval: 50, maxWaitTimeInMs: 100 })
  const member = {
    consumer,
    partitions: 0,
    async start() {
      await consumer.connect()
      await consumer.subscribe({ topic: 't', fromBeginning: true })
      consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
        member.partitions = payload.memberAssignment['t']?.length ?? 0
      })
      await consumer.run({
        eachMessage: ({ message }) => {
          seen.add(Number(message.value))
          return Promise.resolve()
        },
      })
    },
  }
  return member
}

test('kafkajs shares six partitions among two, three and again two members and loses no record', async () => {
  await using kafka = await startEmbeddedKafka({ topics: ['t:6'] })
  const seen = new Set<number>()
  const [first, second, third] = [1, 2, 3].map(() => kafkajsMember(kafka, seen))
  assert.ok(first && second && third)
  try {
    await Promise.all([first.start(), second.start()])
    await until(
      () => first.partitions === 3 && second.partitions === 3,
      'two members have three partitions each',
    )
    await produce(kafka, 0, 100)
    await until(() => seen.size === 100, 'two members saw the first hundred')
    await third.start()
    const thirds = () => [first, second, third].every(({ partitions }) => partitions === 2)
    await until(thirds, 'three members have two partitions each')
    await produce(kafka, 100, 100)
    await until(() => seen.size === 200, 'three members saw the second hundred')
    await first.consumer.disconnect()
    await until(
      () => second.partitions === 3 && third.partitions === 3,
      'the two left have three partitions each',
    )
    await produce(kafka, 200, 100)
    await until(() => seen.size === 300, 'the two left saw the third hundred')
    assert.deepEqual(seen, new Set(range(300)))
  } finally {
    await Promise.all([first, second, third].map(({ consumer }) => consumer.disconnect()))
  }
})

test("kafkajs' admin sees the group and its offsets, and deletes it", async () => {
  await using kafka = await startEmbeddedKafka({ topics: ['t'] })
  await produce(kafka, 0, 10)
  const seen = new Set<number>()
  const member = kafkajsMember(kafka, seen)
  const client = new kafkajs.Kafka({ brokers: [...kafka.brokers], logLevel: kafkajs.logLevel.NOTHING })
  const admin = client.admin()
  await admin.connect()
  try {
    await member.start()
    await until(() => seen.size === 10, 'all records are seen')
    const { groups } = await admin.describeGroups(['g'])
    assert.deepEqual([groups[0]?.state, groups[0]?.members.length], ['Stable', 1])
    await member.consumer.disconnect()
    assert.deepEqual((await admin.listGroups()).groups, [{ groupId: 'g', protocolType: 'consumer' }])
    const offset = async () =>
      (await admin.fetchOffsets({ groupId: 'g', topics: ['t'] }))[0]?.partitions[0]?.offset
    assert.equal(await offset(), '10')
    await admin.deleteGroups(['g'])
    assert.deepEqual((await admin.listGroups()).groups, [])
  } finally {
    await Promise.all([admin.disconnect(), member.consumer.disconnect()])
  }
})

/** A member that commits every record; the client reads some again after a rebalance, so `seen` is a set. */
async function platformaticMember(kafka: EmbeddedKafka, seen: Set<number>) {
  const consumer = new Consumer({
    clientId: 'platformatic',
    groupId: 'g',
    bootstrapBrokers: [...kafka.brokers],
    deserializers: stringDeserializers,
    maxWaitTime: 100,
    heartbeatInterval: 100,
  })
  const stream = await consumer.consume({
    topics: ['t'],
    mode: MessagesStreamModes.COMMITTED,
    fallbackMode: 'earliest',
    autocommit: false,
  })
  const done = (async () => {
    for await (const message of stream) {
      seen.add(Number(message.value))
      await message.commit()
    }
  })()
  done.catch(() => {})
  return {
    partitions: () => consumer.assignments?.[0]?.partitions.length ?? 0,
    async stop() {
      await stream.close()
      await done
      await consumer.close()
    },
    abandon: () => consumer.close(true),
  }
}

test("platformatic's consumers share a topic, and one that is left reads on alone", async () => {
  await using kafka = await startEmbeddedKafka({ topics: ['t:4'] })
  await produce(kafka, 0, 50)
  const seen = new Set<number>()
  const one = await platformaticMember(kafka, seen)
  const members = [one]
  try {
    await until(() => seen.size === 50, 'one member saw everything')
    const two = await platformaticMember(kafka, seen)
    members.push(two)
    await until(
      () => one.partitions() === 2 && two.partitions() === 2,
      'two members have two partitions each',
    )
    await produce(kafka, 50, 50)
    await until(() => seen.size === 100, 'two members saw the rest')
    await one.stop()
    await until(() => two.partitions() === 4, 'the one left has all partitions')
    await produce(kafka, 100, 50)
    await until(() => seen.size === 150, 'the one left saw everything')
    await two.stop()
    assert.deepEqual(seen, new Set(range(150)))
  } finally {
    await Promise.allSettled(members.map((member) => member.abandon()))
  }
})

test("platformatic's consumer goes on where the one before it committed", async () => {
  await using kafka = await startEmbeddedKafka({ topics: ['t:4'] })
  await produce(kafka, 0, 50)
  const before = new Set<number>()
  const members = [await platformaticMember(kafka, before)]
  try {
    await until(() => before.size === 50, 'the first member saw everything')
    await members[0]?.stop()
    await produce(kafka, 50, 1)
    const after = new Set<number>()
    members.push(await platformaticMember(kafka, after))
    await until(() => after.size > 0, 'the second member saw what was left')
    await members[1]?.stop()
    assert.deepEqual(after, new Set([50]))
  } finally {
    await Promise.allSettled(members.map((member) => member.abandon()))
  }
})

test('kcat reads as a group and finds nothing left the second time', { skip: noKcat }, async () => {
  await using kafka = await startEmbeddedKafka({ topics: ['t:3'] })
  await produce(kafka, 0, 20)
  const brokers = kafka.brokers.join()
  const read = async (...settings: string[]) => {
    const options = ['auto.offset.reset=earliest', ...settings].flatMap((setting) => ['-X', setting])
    const asked = ['-q', '-b', brokers, '-G', 'g', ...options, '-e', 't']
    const { stdout } = await run('kcat', asked, { timeout: 60_000 })
    return stdout.split('\n').filter((line) => line !== '')
  }
  const values = (await read()).map(Number)
  assert.deepEqual(
    values.toSorted((a, b) => a - b),
    range(20),
  )
  assert.deepEqual(await read(), [])
  await produce(kafka, 20, 1)
  assert.deepEqual(await read('group.instance.id=static'), ['20'])
})
