/**
 * What Spring for Apache Kafka and Milena put on the wire, on Apache Kafka: each way and between two Springs, in both of
 * the ways in which Spring's instances share a reply topic. What two Springs write is what Milena's records are held
 * against.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  createReplier,
  createRequester,
  defineOperation,
  string,
  type IncomingRecord,
} from '@milena/request-reply'
import { springReplier, springRequester, startSpring, type Spring } from '../../interop/src/spring.ts'
import { uniqueName } from '../support/cluster.ts'
import { openBrokers, type InteropBrokers } from './brokers.ts'
import { Conversation, correlationOf, type Exchange } from './conversation.ts'
import { ways, type Way } from './ways.ts'

const requests = 500
/** Some without a key; the others with many keys, so that replies go to every partition. */
const withoutKey = 50
const keys = 97
const inFlight = 64
const prefix = 'say : '

let kafka: InteropBrokers
let spring: Spring
const conversations = new Map(ways.map((way) => [way, new Conversation(requests)]))
const askers = new Map<Way, ReturnType<typeof springRequester>>()

before(async () => {
  kafka = await openBrokers()
  const { brokers, transport } = kafka
  for (const [way, conversation] of conversations) {
    await conversation.open(transport)
    const { replyTopic } = conversation
    const groupId = uniqueName('spring-requester')
    const partition = way.partition === undefined ? {} : { replyPartition: way.partition }
    askers.set(way, springRequester({ brokers, groupId, replyTopic, prefix, ...partition }))
  }
  const replier = springReplier({
    brokers,
    groupId: uniqueName('spring-repliers'),
    prefix,
    topics: [...conversations.values()].flatMap(({ topics }) => [
      topics['spring-spring'],
      topics['milena-spring'],
    ]),
  })
  spring = await startSpring([replier, ...askers.values()])
})
after(async () => {
  await spring?.[Symbol.asyncDispose]()
  await kafka?.[Symbol.asyncDispose]()
})

for (const way of ways) {
  describe(`on ${way.name}`, () => {
    const conversation = conversations.get(way)!
    const { topics, replyTopic } = conversation

    async function askFromSpring(topic: string): Promise<void> {
      for (const order of [
        { topic, requests: requests - withoutKey, keys, inFlight },
        { topic, requests: withoutKey, inFlight },
      ]) {
        const run = await spring.requester(askers.get(way)!).ask(order)
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

    test('Spring answers hundreds of requests of Spring: what the others are held against', async () => {
      const exchanges = await readSprings()
      const address = [
        `kafka_replyTopic = ${Buffer.from(replyTopic).toString('hex')}`,
        ...(way.partition === undefined ? [] : [`kafka_replyPartition = 0000000${way.partition}`]),
      ]
      const expected = ['kafka_correlationId = 16 bytes', ...address].toSorted()
      for (const { request } of exchanges) assert.deepEqual(requestHeaders(request), expected)
    })

    test('Milena answers hundreds of requests of Spring, with the headers of a Spring', async () => {
      const replier = createReplier({
        kafka: { brokers: kafka.brokers },
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

    test('Spring answers hundreds of requests of Milena, whose headers are those of a Spring and milena-*', async () => {
      const requester = await createRequester({
        kafka: { brokers: kafka.brokers },
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
