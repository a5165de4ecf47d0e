/**
 * One request and several replies, with Spring for Apache Kafka on either side: two of its listeners' groups answer
 * `requestMany`, and two groups of ours answer its AggregatingReplyingKafkaTemplate. An aggregate is never on the wire:
 * what is are one request, and replies with its correlation id.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  createReplier,
  createRequester,
  defineOperation,
  replyPartition,
  sharedReplyTopic,
  string,
  type IncomingRecord,
  type Operation,
  type Replier,
  type Transport,
} from '@milena/request-reply'
import {
  springAggregating,
  startSpring,
  startSpringReplier,
  type SpringAggregate,
} from '../../interop/src/spring.ts'
import { uniqueName } from '../support/cluster.ts'
import { openBrokers, type InteropBrokers } from './brokers.ts'

let cluster: InteropBrokers
let transport: Transport
before(async () => {
  cluster = await openBrokers()
  transport = cluster.transport
})
after(() => cluster?.[Symbol.asyncDispose]())

async function newTopics(...prefixes: string[]): Promise<string[]> {
  const names = prefixes.map(uniqueName)
  await transport.createTopics(names.map((name) => ({ name, partitions: 3 })))
  return names
}

function sayOn(topic: string): Operation<string, string, string, string> {
  return defineOperation({ name: 'say', topic, request: string(), reply: string() })
}

test('two Spring listener groups answer requestMany: all of them by count, and those there are by the timeout', async (t) => {
  const [requests, replies] = (await newTopics('gather_request', 'gather_reply')) as [string, string]
  const groups = await Promise.all(
    ['first', 'second'].map((name) =>
      startSpringReplier({
        brokers: cluster.brokers,
        groupId: uniqueName(name),
        prefix: `${name} : `,
        topics: [requests],
      }),
    ),
  )
  t.after(() => Promise.all(groups.map((group) => group.close())))
  for (const replyRouting of [replyPartition({ topic: replies }), sharedReplyTopic({ topic: replies })]) {
    const requester = await createRequester({ transport, replyRouting })
    t.after(() => requester.close({ timeout: 0 }))
    const say = sayOn(requests)
    const all = await requester.requestMany(say, 'tea', { count: 2, timeout: 60_000, key: 'k' })
    assert.deepEqual(all.replies.map((reply) => reply.value).toSorted(), ['first : tea', 'second : tea'])
    assert.deepEqual([all.complete, all.errors, all.groups], [true, [], []])

    const some = await requester.requestMany(say, 'cake', { count: 3, timeout: 5_000 })
    assert.deepEqual(some.replies.map((reply) => reply.value).toSorted(), ['first : cake', 'second : cake'])
    assert.equal(some.complete, false)
    const { replied, partial, late, duplicate, contradicting } = requester.stats()
    assert.deepEqual([replied, partial, late, duplicate, contradicting], [1, 1, 0, 0, 0])
  }
})

test('two groups of ours answer Spring’s AggregatingReplyingKafkaTemplate: released by count, by its timeout in part, or not at all', async (t) => {
  const [both, one, none, replies] = (await newTopics(
    'aggregate_both',
    'aggregate_one',
    'aggregate_none',
    'aggregate_reply',
  )) as [string, string, string, string]
  const written: IncomingRecord[] = []
  await transport.tail({
    topic: replies,
    partitions: 'all',
    from: 'earliest',
    onRecords: (records) => void written.push(...records),
  })
  const start = async (name: string, topics: readonly string[]): Promise<Replier> => {
    const replier = createReplier({ transport, groupId: uniqueName(name), replyTopics: [replies] })
    for (const topic of topics) replier.handle(sayOn(topic), (request) => `${name} : ${request}`)
    t.after(() => replier.close())
    await replier.start()
    return replier
  }
  await start('first', [both, one])
  await start('second', [both])
  await using spring = await startSpring([
    springAggregating({
      brokers: cluster.brokers,
      groupId: uniqueName('aggregating'),
      topics: [both, one, none],
      replyTopic: replies,
      count: 2,
      timeout: 8_000,
    }),
  ])
  const next = async (): Promise<unknown> => {
    const { asked, how, values } = await spring.program.next<SpringAggregate>('aggregated')
    return { asked, how, values: new Set(values) }
  }
  assert.deepEqual(await next(), {
    asked: both,
    how: 'aggregatedResults',
    values: new Set(['first : tea', 'second : tea']),
  })
  assert.deepEqual(await next(), {
    asked: one,
    how: 'partialResultsAfterTimeout',
    values: new Set(['first : tea']),
  })
  assert.deepEqual(await next(), { asked: none, how: 'KafkaReplyTimeoutException', values: new Set() })
  // Who does not ask for the group is not told: the replies are what they are to any request.
  assert.deepEqual(
    written.map(({ headers }) => headers.map(([name]) => String(name))),
    [['kafka_correlationId'], ['kafka_correlationId'], ['kafka_correlationId']],
  )
})
