/**
 * SmallRye Reactive Messaging and Milena with each other, on Apache Kafka: a thousand requests each way and between two
 * SmallRyes, with a reply topic and with a fixed partition of it, and errors. What two SmallRyes put on the wire is what
 * Milena's records are held against.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  createReplier,
  createRequester,
  defineOperation,
  RemoteError,
  ReplyError,
  replyPartition,
  sharedReplyTopic,
  smallryeProfile,
  string,
  type IncomingRecord,
  type Operation,
  type ReplyRouting,
  type Transport,
} from '@milena/request-reply'
import { buildSmallRye, startSmallRyeReplier, startSmallRyeRequester } from '../../interop/src/smallrye.ts'
import type { Order, OtherRequester } from '../../interop/src/requester.ts'
import { uniqueName } from '../support/cluster.ts'
import { waitFor } from '../support/wait-for.ts'
import { openBrokers, type InteropBrokers } from './brokers.ts'

const requests = 1_000
const inFlight = 64
const keys = 97
const prefix = 'say : '
/** More than one digit's worth of difference between text and bytes, in either byte order. */
const fixedPartition = 5

interface Way {
  readonly name: string
  readonly partition: number | undefined
  readonly replyTopic: string
  readonly routing: ReplyRouting
}

const shared = uniqueName('letters_reply')
const fixed = uniqueName('letters_reply-fixed')
const ways: readonly Way[] = [
  {
    name: 'a reply topic',
    partition: undefined,
    replyTopic: shared,
    routing: sharedReplyTopic({ topic: shared }),
  },
  {
    name: 'a fixed reply partition',
    partition: fixedPartition,
    replyTopic: fixed,
    routing: replyPartition({ topic: fixed, partition: fixedPartition }),
  },
]

/** Who asks whom; both ways use them. */
const topics = {
  'smallrye-smallrye': uniqueName('letters_smallrye-smallrye'),
  'milena-smallrye': uniqueName('letters_milena-smallrye'),
  'smallrye-milena': uniqueName('letters_smallrye-milena'),
} as const
const log = new Map<string, IncomingRecord[]>()

let cluster: InteropBrokers
let transport: Transport
let smallrye: AsyncDisposable | undefined

before(async () => {
  await buildSmallRye()
  cluster = await openBrokers()
  transport = cluster.transport
  const specs = [
    ...Object.values(topics).map((name) => ({ name, partitions: 3 })),
    ...ways.map(({ replyTopic: name }) => ({ name, partitions: fixedPartition + 1 })),
  ]
  await transport.createTopics(specs)
  for (const { name } of specs) {
    const records: IncomingRecord[] = []
    log.set(name, records)
    const onRecords = (read: readonly IncomingRecord[]): void => void records.push(...read)
    await transport.tail({ topic: name, partitions: 'all', from: 'earliest', onRecords })
  }
  smallrye = await startSmallRyeReplier({
    brokers: cluster.brokers,
    groupId: 'smallrye-repliers',
    topics: [topics['smallrye-smallrye'], topics['milena-smallrye']],
    prefix,
  })
})
after(async () => {
  await smallrye?.[Symbol.asyncDispose]()
  await cluster?.[Symbol.asyncDispose]()
})

for (const way of ways) {
  describe(`on ${way.name}`, () => {
    const { replyTopic, partition } = way

    function startRequester(topic: string): Promise<OtherRequester> {
      const { brokers } = cluster
      const fixedTo = partition === undefined ? {} : { replyPartition: partition }
      return startSmallRyeRequester({ brokers, topic, replyTopic, prefix, ...fixedTo })
    }

    test('Milena answers a thousand requests of SmallRye as SmallRye does, and fails as its example does', async () => {
      const own = topics['smallrye-smallrye']
      const ours = topics['smallrye-milena']
      const replier = createReplier({
        kafka: { brokers: cluster.brokers },
        groupId: 'milena-repliers',
        profile: smallryeProfile,
        replyTopics: [replyTopic],
      })
      replier.handle(sayOn(ours), (text) => {
        if (text === 'fail') throw new ReplyError('CARD_DECLINED', 'the card has expired')
        return prefix + text
      })
      await replier.start()
      try {
        for (const topic of [own, ours]) {
          await using asking = await startRequester(topic)
          await ask(asking, { topic, requests, inFlight, keys })
          const { failed, problem } = await asking.ask({ topic, requests: 1, text: 'fail' })
          assert.deepEqual([failed, problem], [1, 'java.lang.IllegalArgumentException: the card has expired'])
        }
      } finally {
        await replier.close()
      }
      const smallryes = await read(way, own)
      const found = await read(way, ours)
      assert.deepEqual(found.requests, smallryes.requests)
      assert.deepEqual(found.replies, smallryes.replies)
      assert.deepEqual(smallryes.requests, [
        [
          'REPLY_CORRELATION_ID = a UUID',
          ...(partition === undefined ? [] : [`REPLY_PARTITION = 0000000${partition}`]),
          `REPLY_TOPIC = ${Buffer.from(replyTopic).toString('hex')}`,
        ].join('\n'),
      ])
    })

    test('SmallRye answers a thousand requests of Milena, and its error is a remote error', async () => {
      const topic = topics['milena-smallrye']
      const requester = await createRequester({
        kafka: { brokers: cluster.brokers },
        profile: smallryeProfile,
        replyRouting: way.routing,
        timeout: 30_000,
      })
      const say = sayOn(topic)
      let next = 0
      const loop = async (): Promise<void> => {
        while (next < requests) {
          const number = next++
          const { value } = await requester.request(say, `letter ${number}`, { key: `key-${number % keys}` })
          assert.equal(value, `${prefix}letter ${number}`)
        }
      }
      try {
        await Promise.all(Array.from({ length: inFlight }, loop))
        await assert.rejects(requester.request(say, 'fail'), (error) => {
          assert.ok(error instanceof RemoteError)
          const { remoteCode, remoteMessage, effect } = error
          assert.deepEqual(
            [remoteCode, remoteMessage, effect],
            ['REPLY_ERROR', 'the card has expired', 'unknown'],
          )
          return true
        })
      } finally {
        await requester.close()
      }
      const smallryes = await read(way, topics['smallrye-smallrye'])
      const found = await read(way, topic)
      assert.deepEqual(found, smallryes)
    })
  })
}

function sayOn(topic: string): Operation<string, string, string, string> {
  return defineOperation({ name: 'say', topic, request: string(), reply: string() })
}

async function ask(asking: OtherRequester, order: Order): Promise<void> {
  const { answered, wrong, failed, problem } = await asking.ask(order)
  assert.deepEqual(
    { answered, wrong, failed, problem },
    { answered: order.requests, wrong: 0, failed: 0, problem: '' },
  )
}

/** The different headers of a way's requests to a topic and of the replies to them, which are there once each. */
async function read(
  { replyTopic, partition }: Way,
  topic: string,
): Promise<{ requests: string[]; replies: string[] }> {
  const asked = log.get(topic)!.filter((record) => textOf(record, 'REPLY_TOPIC') === replyTopic)
  const ids = new Set(asked.map((record) => textOf(record, 'REPLY_CORRELATION_ID')))
  assert.equal(ids.size, requests + 1)
  const replies = (): IncomingRecord[] =>
    log.get(replyTopic)!.filter((record) => ids.has(textOf(record, 'REPLY_CORRELATION_ID')))
  await waitFor(() => replies().length > requests, { what: `the replies to ${topic} in the log` })
  assert.equal(replies().length, requests + 1)
  if (partition !== undefined) for (const reply of replies()) assert.equal(reply.partition, partition)
  return { requests: shapesOf(asked), replies: shapesOf(replies()) }
}

function textOf({ headers }: IncomingRecord, name: string): string | undefined {
  return headers.findLast(([each]) => each.toString() === name)?.[1]?.toString()
}

/** Headers by name and bytes, in no order, without Milena's own; of a correlation id that it looks like one. */
function shapesOf(records: readonly IncomingRecord[]): string[] {
  const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
  const shapes = records.map(({ headers }) =>
    headers
      .map(
        ([name, value]) =>
          [name.toString(), uuid.test(String(value)) ? 'a UUID' : value?.toString('hex')] as const,
      )
      .filter(([name]) => !name.startsWith('milena-'))
      .map(([name, value]) => `${name} = ${value}`)
      .toSorted()
      .join('\n'),
  )
  return [...new Set(shapes)].toSorted()
}
