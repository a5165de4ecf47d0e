/** Several reply topics on one requester, chosen per request; what is in the way of one concerns no other. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RequesterOptions } from '../src/requester/options.ts'
import { createRequester } from '../src/requester/requester.ts'
import { instanceReplyTopic } from '../src/routing/instance-reply-topic.ts'
import { replyPartition } from '../src/routing/reply-partition.ts'
import type { ReplyRouting } from '../src/routing/routing.ts'
import { sharedReplyTopic } from '../src/routing/shared-reply-topic.ts'
import type { RecordPosition, Trouble } from '../src/transport/transport.ts'
import { createMemoryBroker } from '../src/transport/memory/broker.ts'
import { springProfile } from '../src/wire/spring.ts'
import type { Answering } from '../src/testing/answering.ts'
import { code, echo, opened, setUp, StagedRouting, until } from './requesting.ts'

const value = Buffer.from('x')
const other = { replyTopic: 'other_replies' } as const

function staged(): { one: StagedRouting; two: StagedRouting; replyRouting: readonly ReplyRouting[] } {
  const [one, two] = [new StagedRouting('replies'), new StagedRouting('other_replies')]
  return { one, two, replyRouting: [one, two] }
}

/** Where each request asks to be answered. */
function askedFor({ requests }: Answering): unknown[] {
  return requests.map(({ headers }) => {
    const asked = springProfile.readReplyRequest(headers)
    return typeof asked === 'object' ? asked.address?.topic : asked
  })
}

function trouble(topic: string): Trouble {
  return {
    kind: 'topic-missing',
    topic,
    partition: undefined,
    since: 1,
    error: new Error(`${topic} is away`),
  }
}

/** With what the correlation ids begin that a routing is told of as pending. */
function pending(of: StagedRouting): string[] {
  return [...of.context!.pending()].map((id) => id.toString('latin1', 0, 3))
}

function at(topic: string, offset: number): RecordPosition {
  return { topic, partition: 2, offset }
}

/** One that cannot be opened. */
async function notOpened(options: Partial<RequesterOptions>): Promise<never> {
  const topics = ['replies', 'other_replies'].map((name) => ({ name, partitions: 4 }))
  const transport = createMemoryBroker({ topics }).connect()
  opened.push(transport)
  await createRequester({ transport, replyRouting: [], ...options })
  return assert.fail('it was opened')
}

test('the first reply topic is where replies go, and a request may name another one, or the first', async () => {
  const { requester, replier } = await setUp(undefined, {
    replyRouting: [
      replyPartition({ topic: 'replies', partition: 2 }),
      sharedReplyTopic({ topic: 'other_replies' }),
    ],
  })
  const replies = [
    await requester.request(echo, value),
    await requester.request(echo, value, other),
    await requester.request(echo, value, { replyTopic: 'replies' }),
  ]
  assert.deepEqual(askedFor(replier), ['replies', 'other_replies', 'replies'])
  assert.deepEqual(
    replies.map(({ position }) => position.topic),
    ['replies', 'other_replies', 'replies'],
  )
  const { routing, replyAddress, replyAddresses, replied } = requester.stats()
  assert.equal(routing, 'replyPartition, sharedReplyTopic')
  assert.deepEqual(replyAddress, { topic: 'replies', partition: 2 })
  assert.deepEqual(replyAddresses, [{ topic: 'replies', partition: 2 }, { topic: 'other_replies' }])
  assert.equal(replied, 3)
})

test('every way to ask takes it: each, many, and the stages', async () => {
  const { requester, replier } = await setUp(undefined, {
    replyRouting: [new StagedRouting('replies'), sharedReplyTopic({ topic: 'other_replies' })],
  })
  for await (const { reply } of requester.requestEach(echo, [value], other)) assert.ok(reply)
  await requester.requestMany(echo, value, { ...other, count: 1 })
  const registered = requester.register(await requester.prepare(echo, value, other))
  assert.deepEqual([...new Set(registered.repliesFrom.map(({ topic }) => topic))], ['other_replies'])
  await registered.dispatch()
  await registered.reply
  assert.deepEqual(askedFor(replier), ['other_replies', 'other_replies', 'other_replies'])
  await assert.rejects(requester.send(echo, value, other as never), /there is no option replyTopic/)
})

test('a reply topic that there is not is refused, with those that there are', async () => {
  for (const replyRouting of [staged().replyRouting, new StagedRouting()]) {
    const { requester } = await setUp(undefined, { replyRouting })
    const topics = Array.isArray(replyRouting) ? 'replies, other_replies' : 'replies'
    for (const [replyTopic, message] of [
      ['elsewhere', `"elsewhere" is none of this requester's reply topics: ${topics}`],
      ['', `"" is none of this requester's reply topics: ${topics}`],
      [5, 'replyTopic must be a name, not 5'],
    ] as const)
      await assert.rejects(requester.request(echo, value, { replyTopic: replyTopic as string }), (error) => {
        assert.ok((error as Error).message.endsWith(message), String(error))
        return code('MILENA_OPTIONS_INVALID', { sent: 'no' })(error)
      })
    assert.equal(requester.stats().rejected, 3)
  }
})

test('a trouble of one reply topic refuses the requests that would be answered there, and no others', async () => {
  const { one, two, replyRouting } = staged()
  const { requester, replier } = await setUp(undefined, { replyRouting })
  await requester.request(echo, value)
  two.tell(trouble('other_replies'))
  for (const refused of [requester.request(echo, value, other), requester.prepare(echo, value, other)])
    await assert.rejects(refused, (error) => {
      assert.match(String(error), /topic-missing of other_replies since .*: other_replies is away/)
      return code('MILENA_NOT_RECEIVING', { sent: 'no' })(error)
    })
  await requester.request(echo, value)
  const health = requester.health()
  assert.equal(health.receiving, false)
  assert.deepEqual(
    health.replyTopics.map(({ topic, partition, receiving, troubles }) => [
      topic,
      partition,
      receiving,
      troubles.map(({ kind }) => kind),
    ]),
    [
      ['replies', 2, true, []],
      ['other_replies', 2, false, ['topic-missing']],
    ],
  )
  assert.deepEqual(health.troubles, two.troubles)
  assert.equal(requester.health().troubles, health.troubles)
  one.tell(trouble('replies'))
  assert.equal(requester.health().troubles.length, 2)
  await assert.rejects(requester.request(echo, value), /replies is away/)
  two.tell()
  await requester.request(echo, value, other)
  one.tell()
  assert.deepEqual([requester.health().receiving, requester.health().troubles], [true, []])
  assert.equal(replier.requests.length, 3)
})

test('a request that is to wait waits for its own reply topic', async () => {
  const { one, two, replyRouting } = staged()
  const { requester, replier } = await setUp(undefined, { replyRouting, whileNotReceiving: 'wait' })
  await requester.request(echo, value)
  two.tell(trouble('other_replies'))
  const waiting = requester.request(echo, value, other)
  await requester.request(echo, value)
  one.tell(trouble('replies'))
  assert.equal(requester.stats().preparing, 1)
  one.tell()
  await requester.request(echo, value)
  assert.equal(requester.stats().preparing, 1)
  two.tell()
  await waiting
  assert.deepEqual(askedFor(replier), ['replies', 'replies', 'replies', 'other_replies'])
})

test('a request that timed out is told what was in the way of its own replies, and nothing of others', async () => {
  const { two, replyRouting } = staged()
  const { requester, clock } = await setUp(() => undefined, { replyRouting })
  const [here, there] = [
    requester.request(echo, value, { timeout: 100 }),
    requester.request(echo, value, { ...other, timeout: 100 }),
  ]
  const ends = [
    assert.rejects(here, (error: Error) => {
      assert.doesNotMatch(error.message, /other_replies/)
      assert.match(error.message, /whether its replyTopics allow replies/)
      return true
    }),
    assert.rejects(there, /replies could not be received for a while: topic-missing of other_replies/),
  ]
  two.tell(trouble('other_replies'))
  two.tell()
  await clock.advance(100)
  await Promise.all(ends)
})

test('replies that came while the process was held up are read in each topic, and one in trouble holds up no other', async () => {
  const { one, two, replyRouting } = staged()
  const { requester, replier, clock } = await setUp(() => undefined, { replyRouting })
  const read: string[] = []
  const reading = Promise.withResolvers<void>()
  one.caughtUp = () => (read.push('replies'), reading.promise)
  two.caughtUp = () => (read.push('other'), new Promise(() => {}))
  const asked = requester.request(echo, value, { timeout: 100 })
  await until(() => replier.requests.length === 1)
  two.tell(trouble('other_replies'))
  clock.jump(5_000)
  const advanced = clock.advance(0)
  await until(() => read.length === 1)
  assert.deepEqual(read, ['replies'])
  await replier.answer(replier.requests[0]!, { value })
  await until(() => requester.stats().replied === 1)
  reading.resolve()
  await advanced
  await asked
})

test('an operation whose topic is any of the reply topics is refused', async () => {
  const { requester } = await setUp(undefined, { replyRouting: staged().replyRouting })
  for (const topic of ['replies', 'other_replies'])
    await assert.rejects(
      requester.request({ ...echo, topic }, value),
      new RegExp(`its topic ${topic} is also this requester's reply topic`),
    )
})

test('correlation ids begin as the routing of their reply topic says, and each is told of its own', async () => {
  const one = new StagedRouting('replies', Buffer.from('one'))
  const two = new StagedRouting('other_replies', Buffer.from('two'))
  const { requester, replier } = await setUp(() => undefined, { replyRouting: [one, two] })
  for (const options of [{}, other, { replyTopic: 'replies' }])
    requester.request(echo, value, options).catch(() => undefined)
  await until(() => replier.requests.length === 3)
  assert.deepEqual([pending(one), pending(two)], [['one', 'one'], ['two']])
})

test('two routings with one topic are refused, and so is one that does not say its topic, and a list of none', async () => {
  const nameless: ReplyRouting = { name: 'nameless', open: () => assert.fail() }
  const broker = createMemoryBroker()
  const transport = broker.connect()
  opened.push(transport)
  for (const [replyRouting, message] of [
    [
      [replyPartition({ topic: 'a' }), sharedReplyTopic({ topic: 'a' }), replyPartition({ topic: 'b' })],
      /replyRouting: two of them have topic a$/,
    ],
    [
      [replyPartition({ topic: 'r_gw' }), instanceReplyTopic({ prefix: 'r_' })],
      /replyRouting: two of them have topic r_gw$/,
    ],
    [[replyPartition({ topic: 'a' }), nameless], /nameless does not say its topic \(topicOf\)/],
    [[], /replyRouting is missing/],
    [[replyPartition({ topic: 'a' }), undefined], /replyRouting is missing/],
  ] as const)
    await assert.rejects(
      createRequester({ transport, replyRouting: replyRouting as readonly ReplyRouting[], instanceId: 'gw' }),
      message,
    )
  assert.equal((await transport.describeTopics()).size, 0)
})

test('when one cannot be opened, those that can are closed again, and the requester says why', async () => {
  const one = new StagedRouting('replies')
  const replyRouting = [one, sharedReplyTopic({ topic: 'missing' })]
  await assert.rejects(notOpened({ replyRouting }), code('MILENA_TOPIC_MISSING'))
  assert.equal(one.closed, true)
  const liar = Object.assign(new StagedRouting('replies'), { topicOf: () => 'elsewhere' })
  const honest = new StagedRouting('other_replies')
  await assert.rejects(
    notOpened({ replyRouting: [honest, liar] }),
    /staged: it says topic elsewhere, and its address is in replies/,
  )
  assert.deepEqual([honest.closed, liar.closed], [true, true])
})

test('close ends the receiving of all of them', async () => {
  const { one, two, replyRouting } = staged()
  const { requester } = await setUp(undefined, { replyRouting })
  await requester.close()
  assert.deepEqual([one.closed, two.closed], [true, true])
})

test('each resumes at the positions in its own topic, and positions in none of them are refused', async () => {
  const { one, two, replyRouting } = staged()
  await setUp(undefined, { replyRouting, resumeFrom: [at('other_replies', 5), at('other_replies', 7)] })
  assert.equal(one.context!.resumeFrom, undefined)
  assert.deepEqual(two.context!.resumeFrom, [at('other_replies', 5), at('other_replies', 7)])
  await assert.rejects(
    notOpened({ replyRouting: staged().replyRouting, resumeFrom: [at('elsewhere', 0)] }),
    /resumeFrom names elsewhere\[2\], and this instance reads replies, other_replies/,
  )
})
