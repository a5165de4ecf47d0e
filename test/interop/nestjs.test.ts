/**
 * NestJS and Milena with each other, on Apache Kafka: ten thousand requests each way, text and JSON, errors and streams;
 * and all of it again while instances of ours come and go. What two NestJS put on the wire is what Milena's records are
 * held against.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { runInNewContext } from 'node:vm'
import {
  createReplier,
  createRequester,
  defineOperation,
  json,
  nestProfile,
  nothing,
  RemoteError,
  replyPartition,
  ReplyError,
  string,
  type IncomingRecord,
  type Operation,
  type Replier,
  type Requester,
  type RequestManyOptions,
  type Transport,
} from '@milena/request-reply'
import { buildNest, startNestReplier, startNestRequester } from '../../interop/src/nestjs.ts'
import type { Order, OtherRequester } from '../../interop/src/requester.ts'
import { uniqueName } from '../support/cluster.ts'
import { waitFor } from '../support/wait-for.ts'
import { openBrokers, type InteropBrokers } from './brokers.ts'

const requests = 10_000
/** And while instances come and go. */
const requestsMeanwhile = 3_000
const inFlight = 256
const prefix = 'say : '
const partitions = 3
/** More than one digit's worth of difference between text and bytes. */
const fixedPartition = 5

interface Said {
  readonly number: number
  readonly say: string
  readonly said?: string
}

const topics = {
  'nest-nest': uniqueName('letters_nest-nest'),
  'milena-nest': uniqueName('letters_milena-nest'),
  'nest-milena': uniqueName('letters_nest-milena'),
  'nest-milena-json': uniqueName('letters_nest-milena-json'),
  'nest-milena-failing': uniqueName('letters_nest-milena-failing'),
} as const
const replyTopic = uniqueName('letters_reply')
const repliesOf = (topic: string): string => `${topic}.reply`

let cluster: InteropBrokers
let transport: Transport
let nestReplier: AsyncDisposable | undefined
let nest: OtherRequester | undefined
let replier: Replier | undefined
const log = new Map<string, IncomingRecord[]>()

before(async () => {
  await buildNest() // once, for both
  cluster = await openBrokers()
  transport = cluster.transport
  const asked = Object.values(topics)
  const specs = [...asked, ...asked.map(repliesOf)].map((name) => ({ name, partitions }))
  await transport.createTopics([...specs, { name: replyTopic, partitions: fixedPartition + 1 }])
  for (const topic of [...specs.map(({ name }) => name), replyTopic]) {
    const records: IncomingRecord[] = []
    log.set(topic, records)
    const onRecords = (read: readonly IncomingRecord[]): void => void records.push(...read)
    await transport.tail({ topic, partitions: 'all', from: 'earliest', onRecords })
  }
  const { brokers } = cluster
  const own = [topics['nest-nest'], topics['milena-nest']]
  const started = await Promise.all([
    startNestReplier({ brokers, groupId: uniqueName('nest'), topics: own, prefix }),
    startNestRequester({
      brokers,
      groupId: uniqueName('nest'),
      topics: asked.filter((topic) => topic !== topics['milena-nest']),
      prefix,
    }),
    startReplier('milena-repliers'),
  ])
  ;[nestReplier, nest, replier] = started
})
after(async () => {
  await nest?.close()
  await replier?.close()
  await nestReplier?.[Symbol.asyncDispose]()
  await cluster?.[Symbol.asyncDispose]()
})

/** One of ours, for whatever NestJS asks. */
async function startReplier(groupId: string): Promise<Replier> {
  const ours = createReplier({
    kafka: { brokers: cluster.brokers },
    groupId,
    profile: nestProfile,
    replyTopics: Object.values(topics).map(repliesOf),
  })
  ours.handle(sayOn(topics['nest-milena']), (text) => prefix + text)
  ours.handle(tellOn(topics['nest-milena-json']), (asked) => ({ ...asked, said: prefix + asked.say }))
  ours.handle(sayOn(topics['nest-milena-failing']), (text) => {
    if (Number.parseInt(text, 10) % 2 === 0)
      throw new ReplyError('CARD_DECLINED', 'the card has expired', { effect: 'none' })
    throw new Error('a secret')
  })
  await ours.start()
  return ours
}

function openRequester(partition?: number): Promise<Requester> {
  return createRequester({
    kafka: { brokers: cluster.brokers },
    profile: nestProfile,
    replyRouting: replyPartition({ topic: replyTopic, ...(partition !== undefined && { partition }) }),
    timeout: 30_000,
  })
}

function sayOn(topic: string): Operation<string, string, string, string> {
  return defineOperation({ name: 'say', topic, request: string(), reply: string() })
}

function tellOn(topic: string): Operation<Said, Said, Said, Said> {
  return defineOperation({ name: 'tell', topic, request: json<Said>(), reply: json<Said>() })
}

async function askFromNest(order: Order): Promise<void> {
  const { answered, wrong, failed, problem } = await nest!.ask(order)
  assert.deepEqual(
    { answered, wrong, failed, problem },
    { answered: order.requests, wrong: 0, failed: 0, problem: '' },
  )
}

/** So many requests of ours to NestJS, half of them text and half JSON, each with its right answer. */
async function askNest(requester: Requester, count: number): Promise<void> {
  const say = sayOn(topics['milena-nest'])
  const tell = tellOn(topics['milena-nest'])
  let next = 0
  const loop = async (): Promise<void> => {
    while (next < count) {
      const number = next++
      const text = `letter ${number}`
      const options = { key: number % 10 === 0 ? null : `key-${number % 97}` }
      if (number % 2 === 0) {
        const { value } = await requester.request(say, text, options)
        assert.equal(value, prefix + text)
      } else {
        const { value } = await requester.request(tell, { number, say: text }, options)
        assert.deepEqual(value, { number, say: text, said: prefix + text })
      }
    }
  }
  await Promise.all(Array.from({ length: inFlight }, loop))
}

describe('NestJS asks', () => {
  const order = { inFlight, keys: 97, bytes: 40 }

  test('NestJS answers NestJS: what the others are held against', async () => {
    const topic = topics['nest-nest']
    await askFromNest({ ...order, topic, requests: 100 })
    await waitFor(() => log.get(repliesOf(topic))!.length === 100, { what: 'the replies in the log' })
    for (const record of log.get(topic)!) {
      const text = textOf(record)
      assert.match(text['kafka_correlationId'] ?? '', /^[\w-]{21}$/)
      assert.deepEqual(Object.keys(text).toSorted(), [
        'kafka_correlationId',
        'kafka_replyPartition',
        'kafka_replyTopic',
      ])
      assert.equal(text['kafka_replyTopic'], repliesOf(topic))
      assert.equal(text['kafka_replyPartition'], '0')
    }
  })

  test('ten thousand requests, text and JSON, and Milena answers each as NestJS does', async () => {
    await askFromNest({ ...order, topic: topics['nest-milena'], requests: requests / 2 })
    await askFromNest({
      ...order,
      topic: topics['nest-milena-json'],
      requests: requests / 2,
      shape: 'json',
    })
    assert.deepEqual(shapesOf('nest-milena'), shapesOf('nest-nest'))
    assert.equal(shapesOf('nest-milena').length, 1)
    const [{ value } = { value: null }] = log.get(topics['nest-milena-json'])!
    assert.match(value!.toString(), /^\{"number":0,"say":"0\.x+"\}$/)
  })

  test('Milena’s errors come to the caller as errors: an object with code and message', async () => {
    const topic = topics['nest-milena-failing']
    for (const [requests, failure] of [
      [1, { status: 'error', code: 'CARD_DECLINED', message: 'the card has expired' }],
      [2, { status: 'error', code: 'MILENA_HANDLER_FAILED', message: 'the handler failed' }],
    ] as const) {
      const ended = await nest!.ask({ topic, requests, inFlight: 1 })
      assert.equal(ended.failed, requests)
      const { message, ...rest } = ended.failure as { message: string }
      const { message: _, ...expected } = failure
      assert.deepEqual(rest, expected)
      assert.ok(!message.includes('secret'), message)
    }
  })
})

describe('NestJS answers', () => {
  let requester: Requester
  before(async () => {
    requester = await openRequester(fixedPartition)
  })
  after(() => requester?.close())

  test('ten thousand requests of Milena, text and JSON', async () => {
    await askNest(requester, requests)
    const asked = log.get(topics['milena-nest'])!
    await waitFor(() => asked.length === requests, { what: 'the requests in the log' })
    for (const record of asked) {
      const text = textOf(record)
      assert.match(text['kafka_correlationId'] ?? '', /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
      assert.equal(text['kafka_replyTopic'], replyTopic)
      assert.equal(text['kafka_replyPartition'], String(fixedPartition))
    }
    assert.equal(new Set(asked.map((record) => textOf(record)['kafka_correlationId'])).size, requests)
    const { duplicate, contradicting, foreign } = requester.stats()
    assert.deepEqual({ duplicate, contradicting, foreign }, { duplicate: 0, contradicting: 0, foreign: 0 })
  })

  test('its errors are remote errors, whose effect is unknown', async () => {
    const say = sayOn(topics['milena-nest'])
    for (const [request, code, message] of [
      ['fail with text', 'NEST_ERROR', 'the card has expired'],
      ['fail with an object', 'CARD_DECLINED', 'the card has expired'],
      ['fail without a word', 'NEST_ERROR', 'Internal server error'],
    ] as const)
      await assert.rejects(requester.request(say, request), (error) => {
        assert.ok(error instanceof RemoteError)
        const { remoteCode, remoteMessage, effect, outcomeKnown } = error
        assert.deepEqual(
          { remoteCode, remoteMessage, effect, outcomeKnown },
          { remoteCode: code, remoteMessage: message, effect: 'unknown', outcomeKnown: false },
        )
        return true
      })
  })

  test('the first value of a stream is the reply, and its end contradicts nothing', async () => {
    const before = requester.stats()
    const say = sayOn(topics['milena-nest'])
    assert.equal((await requester.request(say, 'answer three times')).value, 'one')
    await waitFor(() => requester.stats().duplicate === before.duplicate + 1, {
      what: 'the end of the stream',
    })
    // Two and three: other replies than the first, and said to be that.
    assert.equal(requester.stats().contradicting, before.contradicting + 2)
  })

  test('all values of a stream come with requestMany and the predicate of docs/interop.md', async () => {
    const page = await readFile(new URL('../../docs/interop.md', import.meta.url), 'utf8')
    const code = /until: ([^]*?),\n}\)/.exec(page)?.[1]
    assert.ok(code !== undefined)
    const until = runInNewContext(code) as RequestManyOptions<string>['until'] & {}
    const say = sayOn(topics['milena-nest'])
    const { complete, replies } = await requester.requestMany(say, 'answer three times', { until })
    const values = replies.map(({ value }) => value)
    assert.deepEqual([complete, values], [true, ['one', 'two', 'three']])
  })

  test('a handler that returns nothing has answered: nothing() reads it, string() says that there is no text', async () => {
    const topic = topics['milena-nest']
    const ask = defineOperation({ name: 'ask', topic, request: string(), reply: nothing })
    assert.equal((await requester.request(ask, 'answer nothing')).value, undefined)
    await assert.rejects(requester.request(sayOn(topic), 'answer nothing'), { code: 'MILENA_CODEC_FAILED' })
  })
})

test('NestJS loses nothing, in either direction, while instances of ours come and go', async (context) => {
  const requester = await openRequester()
  const ending = new AbortController()
  let turns = 0
  let taken = 0
  const hasMoved = (): boolean => taken > 0
  // A second replier makes the group rebalance when it joins and when it leaves; a second requester takes a partition and asks.
  const comeAndGo = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      const [second, asking] = await Promise.all([startReplier('milena-repliers'), openRequester()])
      await askNest(asking, 300)
      await Promise.all([second.close(), asking.close()])
      taken += second.stats().handled
      turns++
    }
  }
  const going = comeAndGo()
  try {
    // Until a second replier has had its part, or nothing has been moved.
    do
      await Promise.all([
        askFromNest({
          topic: topics['nest-milena'],
          requests: requestsMeanwhile,
          inFlight,
          keys: 97,
          bytes: 40,
        }),
        askNest(requester, requestsMeanwhile),
      ])
    while (!hasMoved())
  } finally {
    ending.abort()
    await going
    await requester.close()
  }
  context.diagnostic(`${taken} requests moved in ${turns} turns`)
})

function textOf(record: IncomingRecord): Record<string, string | undefined> {
  return Object.fromEntries(record.headers.map(([name, value]) => [name.toString(), value?.toString()]))
}

/** The different headers of the replies, by name and bytes; of a correlation id that it is one of a request there. */
function shapesOf(pair: keyof typeof topics): string[] {
  const ids = new Set(log.get(topics[pair])!.map((record) => textOf(record)['kafka_correlationId']))
  const shapes = log.get(repliesOf(topics[pair]))!.map(({ headers }) =>
    headers
      .map(
        ([name, value]) =>
          `${name.toString()} = ${ids.has(value?.toString()) ? 'an id' : value?.toString('hex')}`,
      )
      .toSorted()
      .join('\n'),
  )
  return [...new Set(shapes)]
}
