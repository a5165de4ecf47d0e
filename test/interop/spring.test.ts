/**
 * Spring for Apache Kafka and Milena with each other, on Apache Kafka: a thousand requests each way and between two
 * Springs, in both of the ways in which Spring's instances share a reply topic. What two Springs put on the wire is
 * what Milena's records are held against.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  createReplier,
  createRequester,
  deadLetter,
  deadLetters,
  defineOperation,
  openKafka,
  replyPartition,
  retryTopics,
  sharedReplyTopic,
  string,
  type DeadLetter,
  type IncomingRecord,
  type RawHeader,
  type ReplyRouting,
  type Transport,
} from '@milena/request-reply'
import type { OtherRequester } from '../../interop/src/requester.ts'
import {
  startSpringDeadLetters,
  startSpringReplier,
  startSpringRequester,
  startSpringRetries,
  type SpringLetter,
} from '../../interop/src/spring.ts'
import { startKafka, type KafkaCluster } from '../../tools/kafka/cluster.ts'
import { uniqueName } from '../support/cluster.ts'
import { waitFor } from '../support/wait-for.ts'

const requests = 1_000
/** Some without a key; the others with many keys, so that replies go to every partition. */
const withoutKey = 100
const keys = 97
const inFlight = 64
const prefix = 'say : '
const requestPartitions = 3
const replyPartitions = 6
/** More than one digit's worth of difference between text and bytes, in either byte order. */
const fixedPartition = 5

interface Way {
  readonly name: string
  readonly partition: number | undefined
  readonly routing: (topic: string) => ReplyRouting
}

const ways: readonly Way[] = [
  {
    name: 'a reply topic with a group of its own',
    partition: undefined,
    routing: (topic) => sharedReplyTopic({ topic }),
  },
  {
    name: 'a fixed reply partition',
    partition: fixedPartition,
    routing: (topic) => replyPartition({ topic, partition: fixedPartition }),
  },
]

/** Who asks whom, each pair on a request topic of its own. */
type Pair = 'spring-spring' | 'milena-spring' | 'spring-milena'

interface Exchange {
  readonly request: IncomingRecord
  readonly reply: IncomingRecord
}

/** The topics of one way, and everything that is written to them. */
class Conversation {
  readonly replyTopic = uniqueName('letters_reply')
  readonly topics: Readonly<Record<Pair, string>> = {
    'spring-spring': uniqueName('letters_spring-spring'),
    'milena-spring': uniqueName('letters_milena-spring'),
    'spring-milena': uniqueName('letters_spring-milena'),
  }
  readonly #log = new Map<string, IncomingRecord[]>()

  async open(transport: Transport): Promise<void> {
    const requestTopics = Object.values(this.topics)
    await transport.createTopics([
      ...requestTopics.map((name) => ({ name, partitions: requestPartitions })),
      { name: this.replyTopic, partitions: replyPartitions },
    ])
    for (const topic of [...requestTopics, this.replyTopic]) {
      const log: IncomingRecord[] = []
      this.#log.set(topic, log)
      const onRecords = (records: readonly IncomingRecord[]): void => void log.push(...records)
      await transport.tail({ topic, partitions: 'all', from: 'earliest', onRecords })
    }
  }

  /** The requests of a pair and the replies to them, by correlation id; each is there exactly once. */
  async read(pair: Pair): Promise<Exchange[]> {
    const asked = this.#log.get(this.topics[pair])!
    await waitFor(() => asked.length >= requests, { what: `the requests of ${pair} in the log` })
    assert.equal(asked.length, requests, `requests of ${pair} in the log`)
    const byId = new Map(asked.map((request) => [correlationOf(request), request]))
    assert.equal(byId.size, requests, `different correlation ids of ${pair}`)
    const replies = (): IncomingRecord[] =>
      this.#log.get(this.replyTopic)!.filter((reply) => byId.has(correlationOf(reply)))
    await waitFor(() => replies().length >= requests, { what: `the replies of ${pair} in the log` })
    const found = replies()
    assert.equal(found.length, requests, `replies of ${pair} in the log`)
    assert.equal(new Set(found.map(correlationOf)).size, requests, `requests of ${pair} with a reply`)
    return found.map((reply) => ({ request: byId.get(correlationOf(reply))!, reply }))
  }
}

let cluster: KafkaCluster
let transport: Transport
let springReplier: AsyncDisposable | undefined
const conversations = new Map(ways.map((way) => [way, new Conversation()]))

before(async () => {
  cluster = await startKafka({ brokers: 1 })
  transport = await openKafka({ brokers: cluster.brokers })
  for (const conversation of conversations.values()) await conversation.open(transport)
  springReplier = await startSpringReplier({
    brokers: cluster.brokers,
    groupId: 'spring-repliers',
    prefix,
    topics: [...conversations.values()].flatMap(({ topics }) => [
      topics['spring-spring'],
      topics['milena-spring'],
    ]),
  })
})
after(async () => {
  await springReplier?.[Symbol.asyncDispose]()
  await transport?.close()
  await cluster?.close()
})

for (const way of ways) {
  describe(`on ${way.name}`, () => {
    const conversation = conversations.get(way)!
    const { topics, replyTopic } = conversation
    let spring: OtherRequester
    before(async () => {
      spring = await startSpringRequester({
        brokers: cluster.brokers,
        groupId: uniqueName('spring-requester'),
        replyTopic,
        prefix,
        ...(way.partition !== undefined && { replyPartition: way.partition }),
      })
    })
    after(() => spring?.close())

    async function askFromSpring(topic: string): Promise<void> {
      for (const order of [
        { topic, requests: requests - withoutKey, keys, inFlight },
        { topic, requests: withoutKey, inFlight },
      ]) {
        const run = await spring.ask(order)
        const { answered, wrong, failed, problem } = run
        assert.deepEqual(
          { answered, wrong, failed, problem },
          { answered: order.requests, wrong: 0, failed: 0, problem: '' },
        )
      }
    }

    /** What two Springs write, once for all that is held against it. */
    let springsOwn: Promise<Exchange[]> | undefined
    function readSprings(): Promise<Exchange[]> {
      springsOwn ??= askFromSpring(topics['spring-spring']).then(() => conversation.read('spring-spring'))
      return springsOwn
    }

    test('Spring answers a thousand requests of Spring: what the others are held against', async () => {
      const exchanges = await readSprings()
      const address = [
        `kafka_replyTopic = ${Buffer.from(replyTopic).toString('hex')}`,
        ...(way.partition === undefined ? [] : [`kafka_replyPartition = 0000000${way.partition}`]),
      ]
      const expected = ['kafka_correlationId = 16 bytes', ...address].toSorted()
      for (const { request } of exchanges) assert.deepEqual(requestHeaders(request), expected)
    })

    test('Milena answers a thousand requests of Spring, with the headers of a Spring', async () => {
      const replier = createReplier({
        kafka: { brokers: cluster.brokers },
        groupId: uniqueName('milena-repliers'),
        replyTopics: [replyTopic],
      })
      replier.handle(sayOn(topics['spring-milena']), (text) => prefix + text)
      await replier.start()
      try {
        await askFromSpring(topics['spring-milena'])
      } finally {
        await replier.close()
      }
      const ours = await conversation.read('spring-milena')
      const springs = await readSprings()
      assert.deepEqual(distinct(ours.map(replyShape)), distinct(springs.map(replyShape)))
      assert.deepEqual(partitionsByKey(ours), partitionsByKey(springs), 'where the replies to a key go')
      assertReplies(ours, way)
      assertReplies(springs, way)
    })

    test('Spring answers a thousand requests of Milena, whose headers are those of a Spring and milena-*', async () => {
      const requester = await createRequester({
        kafka: { brokers: cluster.brokers },
        replyRouting: way.routing(replyTopic),
        timeout: 30_000,
      })
      const say = sayOn(topics['milena-spring'])
      let next = 0
      const loop = async (): Promise<void> => {
        while (next < requests) {
          const number = next++
          const key = number < withoutKey ? null : `key-${number % keys}`
          const { value } = await requester.request(say, `letter ${number}`, { key })
          assert.equal(value, `${prefix}letter ${number}`)
        }
      }
      try {
        await Promise.all(Array.from({ length: inFlight }, loop))
      } finally {
        await requester.close()
      }
      const ours = await conversation.read('milena-spring')
      const springs = await readSprings()
      assert.deepEqual(
        distinct(ours.map(({ request }) => requestHeaders(request))),
        distinct(springs.map(({ request }) => requestHeaders(request))),
      )
      for (const { request } of ours) {
        const added = request.headers.map(([name]) => name.toString()).filter(isMilenas)
        assert.deepEqual(added.toSorted(), [
          'milena-deadline',
          'milena-instance',
          'milena-operation',
          'milena-timeout',
        ])
      }
      assert.deepEqual(distinct(ours.map(replyShape)), distinct(springs.map(replyShape)))
      assertReplies(ours, way)
    })
  })
}

function sayOn(topic: string) {
  return defineOperation({ name: 'say', topic, request: string(), reply: string() })
}

function isMilenas(name: string): boolean {
  return name.startsWith('milena-')
}

/** All correlation ids of the record, so that a second one would not go unseen. */
function correlationOf(record: IncomingRecord): string {
  const ids = record.headers.filter(([name]) => name.toString() === 'kafka_correlationId')
  return ids.map(([, value]) => value?.toString('hex')).join(' and ')
}

/** Headers by name and bytes, in no order, without Milena's own; of the correlation id only how long it is. */
function requestHeaders({ headers }: IncomingRecord): string[] {
  return headers
    .map(([name, value]) => [name.toString(), value] as const)
    .filter(([name]) => !isMilenas(name))
    .map(([name, value]) =>
      name === 'kafka_correlationId'
        ? `${name} = ${value?.length} bytes`
        : `${name} = ${value?.toString('hex')}`,
    )
    .toSorted()
}

/** Everything of a reply that does not depend on which request it answers. */
function replyShape({ request, reply }: Exchange): string[] {
  const headers = reply.headers.map(([name, value]) => {
    const same = correlationOf(request) === value?.toString('hex')
    return `${name.toString()} = ${same ? "the request's correlation id" : value?.toString('hex')}`
  })
  const key = reply.key === null ? 'null' : reply.key.equals(request.key ?? Buffer.of()) ? 'same' : 'other'
  return [
    ...headers.toSorted(),
    `key of a request ${request.key === null ? 'without' : 'with'} one = ${key}`,
    `value = ${reply.value?.toString() === prefix + request.value?.toString() ? 'the answer' : String(reply.value)}`,
  ]
}

/** The different ones, in an order of their own. */
function distinct(shapes: readonly (readonly string[])[]): string[] {
  return [...new Set(shapes.map((shape) => shape.join('\n')))].toSorted()
}

function partitionsByKey(exchanges: readonly Exchange[]): Record<string, number[]> {
  const found: Record<string, number[]> = {}
  for (const { reply } of exchanges) {
    if (reply.key === null) continue // spread over all of them, by either
    const partitions = (found[reply.key.toString()] ??= [])
    if (!partitions.includes(reply.partition)) partitions.push(reply.partition)
  }
  return found
}

/** A reply has the correlation id and nothing else, and stands where it was asked for. */
function assertReplies(exchanges: readonly Exchange[], { partition }: Way): void {
  for (const { reply } of exchanges) {
    assert.deepEqual(
      reply.headers.map(([name, value]) => `${name.toString()}: ${value?.length} bytes`),
      ['kafka_correlationId: 16 bytes'],
    )
    if (partition !== undefined) assert.equal(reply.partition, partition)
  }
}

test('Spring’s dead letters are ours to list and to replay', async () => {
  const topic = uniqueName('failing')
  const letters = `${topic}-dlt`
  await transport.createTopics([
    { name: topic, partitions: 2 },
    { name: letters, partitions: 2 },
  ])
  await using spring = await startSpringDeadLetters({
    brokers: cluster.brokers,
    groupId: topic,
    topic,
    letters,
  })
  const headers: RawHeader[] = [[Buffer.from('trace'), Buffer.from([7])]]
  const key = Buffer.from('k')
  const asked = await transport.send({ topic, partition: 1, key, value: Buffer.from('pay'), headers })
  await using browser = deadLetters({ transport, createTopics: true })
  const list = async (): Promise<DeadLetter[]> => {
    const found: DeadLetter[] = []
    for await (const letter of browser.list({ topic })) found.push(letter)
    return found
  }
  await waitFor(async () => (await list()).length === 1, { what: 'Spring to give up' })
  const [letter] = await list()
  const { partition, group, code, attempts, original, errorClass, causeClass, message } = letter!
  assert.deepEqual(
    { partition, group, code, attempts, original: { ...original, timestamp: 0 }, errorClass, causeClass },
    {
      partition: 1,
      group: topic,
      code: undefined,
      attempts: undefined,
      original: { ...asked, timestamp: 0 },
      errorClass: 'org.springframework.kafka.listener.ListenerExecutionFailedException',
      causeClass: 'java.lang.IllegalStateException',
    },
  )
  assert.ok(Math.abs(original!.timestamp! - Date.now()) < 600_000)
  assert.match(message!, /^Listener method .* threw exception/)
  const whole = await browser.show(letter!)
  assert.deepEqual([String(whole!.key), String(whole!.value)], ['k', 'pay'])
  assert.match(whole!.stack!, /java\.lang\.IllegalStateException: no such account: pay/)
  // Spring sees its own letter as any other.
  assert.equal((await spring.next<SpringLetter>('letter')).originalOffset, asked.offset)

  for await (const { verdict, to } of browser.replay(letter!, { dryRun: false }))
    assert.deepEqual([verdict, to], ['replayed', { ...asked, offset: asked.offset + 1 }])
  await waitFor(async () => (await list()).length === 2, { what: 'Spring to give it up again' })
  const [, second] = await list()
  assert.equal(second!.replayOf, `${letters}/1/0`)
  assert.equal(second!.original!.offset, asked.offset + 1)
  assert.deepEqual(
    (await browser.show(second!))!.headers.raw.filter(([name]) => String(name) === 'trace').length,
    1,
  )
})

test('our dead letters are Spring’s to read', async () => {
  const topic = uniqueName('failing')
  const other = uniqueName('other')
  const letters = `${topic}-dlt`
  await transport.createTopics([topic, letters, other].map((name) => ({ name, partitions: 2 })))
  await using spring = await startSpringDeadLetters({
    brokers: cluster.brokers,
    groupId: other,
    topic: other,
    letters,
  })
  const operation = defineOperation({ name: 'pay', topic, request: string(), reply: string() })
  await using replier = createReplier({ transport, groupId: topic, logger: { warn() {} } })
  replier.useRecords(deadLetter())
  replier.handle(operation, () => {
    throw new TypeError('no such account', { cause: new RangeError('7') })
  })
  await replier.start()
  const key = Buffer.from('k')
  await transport.send({ topic, partition: 1, key, value: Buffer.from('first'), headers: [] })
  const asked = await transport.send({ topic, partition: 1, key, value: Buffer.from('pay'), headers: [] })
  let seen: SpringLetter
  do seen = await spring.next<SpringLetter>('letter')
  while (seen.value !== 'pay')
  const { originalTimestamp, stackLines, ...rest } = seen
  assert.deepEqual(rest, {
    event: 'letter',
    value: 'pay',
    key: 'k',
    partition: 1,
    originalTopic: topic,
    originalPartition: 1,
    originalOffset: asked.offset,
    timestampType: 'CreateTime',
    group: topic,
    exception: 'TypeError',
    cause: 'RangeError',
    message: 'no such account',
  })
  assert.ok(Math.abs(originalTimestamp - Date.now()) < 600_000)
  assert.ok(stackLines > 1 && stackLines <= 20, `${stackLines} lines`)
})

const topicsOfSpring = (base: string, place: number): string => `${base}-retry-${place - 1}`

test('a record in our retry topics has what it has in Spring’s', async () => {
  const ours = uniqueName('retried')
  const theirs = uniqueName('retried')
  const suffixes = ['retry-0', 'retry-1', 'dlt']
  const retried = new Map<string, IncomingRecord>()
  for (const base of [ours, theirs]) {
    const topics = suffixes.map((suffix) => `${base}-${suffix}`)
    await transport.createTopics([base, ...topics].map((name) => ({ name, partitions: 2 })))
    for (const topic of topics.slice(0, 2)) {
      const onRecords = ([record]: readonly IncomingRecord[]): void => void retried.set(topic, record!)
      await transport.tail({ topic, partitions: 'all', from: 'earliest', onRecords })
    }
  }
  await using spring = await startSpringRetries({ brokers: cluster.brokers, groupId: theirs, topic: theirs })
  assert.ok(spring)
  await using replier = createReplier({ transport, groupId: ours, logger: { warn() {} } })
  const operation = defineOperation({ name: 'pay', topic: ours, request: string(), reply: string() })
  replier.handle(
    operation,
    () => {
      throw new Error('not now')
    },
    { useRecords: [retryTopics({ delays: [100, 200], topic: topicsOfSpring })] },
  )
  await replier.start()
  const headers: RawHeader[] = [[Buffer.from('trace'), Buffer.from([7])]]
  const record = { partition: 1, key: Buffer.from('k'), value: Buffer.from('pay'), headers }
  const asked = performance.timeOrigin + performance.now()
  for (const topic of [ours, theirs]) await transport.send({ topic, ...record })
  await waitFor(() => retried.size === 4, { what: 'both to retry twice' })

  for (const suffix of ['retry-0', 'retry-1']) {
    const mine = retried.get(`${ours}-${suffix}`)!
    const springs = retried.get(`${theirs}-${suffix}`)!
    assert.deepEqual([mine.partition, mine.key, mine.value], [springs.partition, springs.key, springs.value])
    for (const [name] of mine.headers) {
      const [own, other] = [mine, springs].map((one) => lastOf(one.headers, name))
      assert.ok(other, `Spring writes no ${String(name)}`)
      // Names differ, and moments a little.
      if (/topic$|group$/.test(String(name))) assert.deepEqual([String(own), String(other)], [ours, theirs])
      else if (String(name).endsWith('timestamp')) {
        assert.equal(own!.length, other.length)
        const moments = [own!, other].map((bytes) => Number(`0x${bytes.toString('hex')}`))
        for (const moment of moments)
          assert.ok(Math.abs(moment - asked) < 600_000, `${String(name)} ${moment}`)
      } else assert.deepEqual(own, other, `${String(name)} of ${suffix}`)
    }
  }
})

function lastOf(headers: readonly RawHeader[], name: Buffer): Buffer | null | undefined {
  return headers.findLast(([one]) => one.equals(name))?.[1]
}
