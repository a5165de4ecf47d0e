/** Correlation ids as text, Spring's `setBinaryCorrelation(false)`, and our `spring-text` profile, on Apache Kafka. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  createReplier,
  createRequester,
  defineOperation,
  replyPartition,
  sharedReplyTopic,
  springTextProfile,
  string,
  type IncomingRecord,
} from '@milena/request-reply'
import { springReplier, springRequester, startSpring, type Spring } from '../../interop/src/spring.ts'
import { uniqueName } from '../support/cluster.ts'
import { waitFor } from '../support/wait-for.ts'
import { openBrokers, type InteropBrokers } from './brokers.ts'

const requests = 500
const prefix = 'say : '
const partition = 5
const answeredByUs = uniqueName('text_milena')
const answeredBySpring = uniqueName('text_spring')
const replies = uniqueName('text_reply')

let kafka: InteropBrokers
let spring: Spring
let asking: ReturnType<typeof springRequester>
const written = new Map<string, IncomingRecord[]>()
before(async () => {
  kafka = await openBrokers()
  const { brokers, transport } = kafka
  for (const topic of [answeredByUs, answeredBySpring, replies]) {
    const log: IncomingRecord[] = []
    written.set(topic, log)
    await transport.createTopics([{ name: topic, partitions: topic === replies ? 6 : 3 }])
    const onRecords = (records: readonly IncomingRecord[]): void => void log.push(...records)
    await transport.tail({ topic, partitions: 'all', from: 'earliest', onRecords })
  }
  const groupId = uniqueName('text')
  asking = springRequester({
    brokers,
    prefix,
    groupId,
    replyTopic: replies,
    replyPartition: partition,
    correlation: 'text',
  })
  const topics = [answeredBySpring]
  spring = await startSpring([
    springReplier({ brokers, prefix, groupId: `${groupId}-replier`, topics }),
    asking,
  ])
})
after(async () => {
  await spring?.[Symbol.asyncDispose]()
  await kafka?.[Symbol.asyncDispose]()
})

function sayOn(topic: string) {
  return defineOperation({ name: 'say', topic, request: string(), reply: string() })
}

/** Its three headers, or those of a reply, in text; of the correlation id only what it looks like. */
function shape({ headers }: IncomingRecord): string {
  return headers
    .filter(([name]) => String(name).startsWith('kafka_'))
    .map(([name, value]) => {
      const shown =
        String(name) === 'kafka_correlationId' ? String(value).replaceAll(/[0-9a-f]/g, 'x') : value
      return `${String(name)} = ${shown instanceof Buffer ? shown.toString('hex') : shown}`
    })
    .toSorted()
    .join('\n')
}

test('a Spring with text correlation is answered by us, and we by a Spring, with the same bytes on the wire', async () => {
  const { transport } = kafka
  await using replier = createReplier({
    transport,
    groupId: answeredByUs,
    replyTopics: [replies],
    profile: springTextProfile,
  })
  replier.handle(sayOn(answeredByUs), (text) => prefix + text)
  await replier.start()
  const { answered, wrong, failed, problem } = await spring
    .requester(asking)
    .ask({ topic: answeredByUs, requests, inFlight: 64, keys: 7 })
  assert.deepEqual(
    { answered, wrong, failed, problem },
    { answered: requests, wrong: 0, failed: 0, problem: '' },
  )

  for (const replyRouting of [
    replyPartition({ topic: replies, partition }),
    sharedReplyTopic({ topic: replies }),
  ]) {
    await using requester = await createRequester({
      transport,
      profile: springTextProfile,
      replyRouting,
      timeout: 60_000,
    })
    const items = Array.from({ length: requests }, (_, index) => `${replyRouting.name} ${index}`)
    let ours = 0
    for await (const { item, reply, error } of requester.requestEach(sayOn(answeredBySpring), items)) {
      if (error !== undefined) throw error
      assert.equal(reply.value, prefix + item)
      ours++
    }
    assert.equal(ours, requests)
    const { foreign, late, duplicate } = requester.stats()
    assert.deepEqual({ foreign, late, duplicate }, { foreign: 0, late: 0, duplicate: 0 })
  }

  const read = async (topic: string, count: number): Promise<string[]> => {
    const log = written.get(topic)!
    await waitFor(() => log.length === count, { what: `${count} records of ${topic}` })
    return [...new Set(log.map(shape))].toSorted()
  }
  const uuid = 'kafka_correlationId = xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx'
  const topic = `kafka_replyTopic = ${Buffer.from(replies).toString('hex')}`
  const fixed = `${uuid}\nkafka_replyPartition = 00000005\n${topic}`
  assert.deepEqual(await read(answeredByUs, requests), [fixed])
  assert.deepEqual(await read(answeredBySpring, 2 * requests), [fixed, `${uuid}\n${topic}`])
  assert.deepEqual(await read(replies, 3 * requests), [uuid])
})
