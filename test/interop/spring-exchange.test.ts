/**
 * Ten thousand requests from Milena to Spring and ten thousand back, on Apache Kafka: as text and as JSON, to a reply
 * topic that is read as a whole and to a fixed partition of it. Both ask at once, and each gets its own answers.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  createReplier,
  createRequester,
  defineOperation,
  json,
  replyPartition,
  sharedReplyTopic,
  string,
  type Operation,
  type ReplyRouting,
} from '@milena/request-reply'
import {
  springReplier,
  springRequester,
  startSpring,
  type Spring,
  type SpringFormat,
  type SpringRole,
} from '../../interop/src/spring.ts'
import { uniqueName } from '../support/cluster.ts'
import { openBrokers, type InteropBrokers } from './brokers.ts'

const requests = 10_000
const inFlight = 500
const keys = 97
const prefix = 'say : '

/** `Question` and `Answer` of the Spring program. */
interface Said {
  readonly number: number
  readonly text: string
}

interface Case {
  readonly format: SpringFormat
  readonly way: 'header' | 'partition'
  readonly toSpring: string
  readonly toUs: string
  readonly replies: string
  readonly asking: SpringRole
  readonly routing: ReplyRouting
}

let kafka: InteropBrokers
let spring: Spring
const cases = new Map<string, Case>()
before(async () => {
  kafka = await openBrokers()
  const { brokers, transport } = kafka
  const roles: SpringRole[] = []
  for (const format of ['text', 'json'] as const) {
    const topics: string[] = []
    for (const way of ['header', 'partition'] as const) {
      const name = uniqueName(`exchange-${format}-${way}`)
      const [toSpring, toUs, replies] = [`${name}_spring`, `${name}_milena`, `${name}_reply`] as const
      await transport.createTopics([toSpring, toUs, replies].map((topic) => ({ name: topic, partitions: 6 })))
      topics.push(toSpring)
      const asking = springRequester({
        brokers,
        prefix,
        format,
        groupId: `${name}-requester`,
        replyTopic: replies,
        ...(way === 'partition' && { replyPartition: 2 }),
      })
      // Beside Spring's: whoever has a partition of its own sees nobody else's replies.
      const routing =
        way === 'partition'
          ? replyPartition({ topic: replies, partition: 4 })
          : sharedReplyTopic({ topic: replies })
      cases.set(`${format} ${way}`, { format, way, toSpring, toUs, replies, asking, routing })
      roles.push(asking)
    }
    roles.push(springReplier({ brokers, prefix, format, topics, groupId: uniqueName('exchange-repliers') }))
  }
  spring = await startSpring(roles)
})
after(async () => {
  await spring?.[Symbol.asyncDispose]()
  await kafka?.[Symbol.asyncDispose]()
})

function textOn(topic: string): Operation<string, string, string, string> {
  return defineOperation({ name: 'say', topic, request: string(), reply: string() })
}

function jsonOn(topic: string): Operation<Said, Said, Said, Said> {
  return defineOperation({ name: 'say', topic, request: json<Said>(), reply: json<Said>() })
}

/** We answer as Spring's listeners do. */
async function answering({ format, toUs, replies }: Case): Promise<AsyncDisposable> {
  const replier = createReplier({ transport: kafka.transport, groupId: toUs, replyTopics: [replies] })
  if (format === 'text') replier.handle(textOn(toUs), (text) => prefix + text)
  else replier.handle(jsonOn(toUs), ({ number, text }) => ({ number, text: prefix + text }))
  await replier.start()
  return replier
}

/** We ask, and hold each answer against what was asked. */
async function ask({ format, toSpring, routing, way }: Case): Promise<void> {
  await using requester = await createRequester({
    transport: kafka.transport,
    replyRouting: routing,
    timeout: 60_000,
  })
  const texts = Array.from({ length: requests }, (_, number) => ({ number, text: `letter ${number}` }))
  const options = {
    concurrency: inFlight,
    requestOptions: (_: unknown, index: number) => ({ key: `key-${index % keys}` }),
  }
  const wrong: unknown[] = []
  let answered = 0
  if (format === 'text') {
    const asked = texts.map(({ text }) => text)
    for await (const { item, reply, error } of requester.requestEach(textOn(toSpring), asked, options)) {
      answered++
      if (reply?.value !== prefix + item) wrong.push(error ?? reply.value)
    }
  } else {
    for await (const { item, reply, error } of requester.requestEach(jsonOn(toSpring), texts, options)) {
      answered++
      const { number, text } = reply?.value ?? { number: -1, text: '' }
      if (number !== item.number || text !== prefix + item.text) wrong.push(error ?? reply.value)
    }
  }
  assert.deepEqual({ answered, wrong: wrong.slice(0, 3) }, { answered: requests, wrong: [] })
  const { replied, foreign, late, duplicate, contradicting } = requester.stats()
  assert.deepEqual(
    { replied, late, duplicate, contradicting },
    { replied: requests, late: 0, duplicate: 0, contradicting: 0 },
  )
  // A topic that all read has Spring's replies, too, which are none of ours; a partition of our own has none.
  if (way === 'partition') assert.equal(foreign, 0)
  else assert.ok(foreign <= requests, `${foreign} foreign replies`)
}

async function askFromSpring({ toUs, asking }: Case): Promise<void> {
  const run = await spring.requester(asking).ask({ topic: toUs, requests, inFlight, keys })
  const { answered, wrong, failed, problem } = run
  assert.deepEqual(
    { answered, wrong, failed, problem },
    { answered: requests, wrong: 0, failed: 0, problem: '' },
  )
}

for (const format of ['text', 'json'] as const) {
  for (const [way, named] of [
    ['header', 'by the reply topic’s header alone'],
    ['partition', 'to a fixed partition each'],
  ] as const) {
    test(`ten thousand requests each way at once, ${format}, ${named}: all have their own answers`, async () => {
      const here = cases.get(`${format} ${way}`)!
      await using replier = await answering(here)
      assert.ok(replier)
      await Promise.all([ask(here), askFromSpring(here)])
    })
  }
}
