/** What a requester does while replies cannot be received, and after its process was held up. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { defineOperation } from '../src/contract/operation.ts'
import { string } from '../src/contract/payload.ts'
import { TransportError } from '../src/errors.ts'
import { createRequester } from '../src/requester/requester.ts'
import { createMemoryBroker } from '../src/transport/memory/broker.ts'
import type { Trouble } from '../src/transport/transport.ts'
import { replyPartition } from '../src/routing/reply-partition.ts'
import {
  altered,
  assertAccounted,
  code,
  echo,
  opened,
  seenOn,
  setUp,
  StagedRouting,
  until,
  warningsSeen,
} from './requesting.ts'

const value = Buffer.from('x')

const gone: Trouble = {
  kind: 'topic-missing',
  topic: 'replies',
  since: Date.UTC(2026, 0, 2),
  error: new TransportError('MILENA_TOPIC_MISSING', 'topic replies does not exist'),
}

test('while replies cannot be received requests are refused unsent, with the trouble and since when', async () => {
  const replyRouting = new StagedRouting()
  const { requester, replier } = await setUp(undefined, { replyRouting })
  await requester.request(echo, value)
  assert.deepEqual([requester.health().receiving, requester.health().troubles.length], [true, 0])
  replyRouting.tell(gone)
  const { receiving, troubles } = requester.health()
  assert.equal(receiving, false)
  assert.equal(troubles[0], gone)
  await assert.rejects(requester.request(echo, value), (error: unknown) => {
    assert.match(
      String(error),
      /topic-missing of replies since 2026-01-02T00:00:00.000Z: topic replies does not exist/,
    )
    return code('MILENA_NOT_RECEIVING', { sent: 'no', retryable: true, effect: 'none' })(error)
  })
  const prepared = requester.prepare(echo, value)
  await assert.rejects(prepared, code('MILENA_NOT_RECEIVING'))
  assert.equal(requester.stats().accepted, 1)
  replyRouting.tell()
  await requester.request(echo, value)
  assert.equal(replier.requests.length, 2)
})

test('brokers that are only away for a moment are told as a trouble, and nothing is refused for them', async () => {
  const replyRouting = new StagedRouting()
  const { requester, replier } = await setUp(undefined, { replyRouting })
  const error = new TransportError('MILENA_BROKER_UNREACHABLE', 'no broker has answered for 2 s')
  replyRouting.tell({ kind: 'away', since: Date.UTC(2026, 0, 2), error })
  const { receiving, troubles } = requester.health()
  assert.deepEqual([receiving, troubles.length], [true, 1])
  await requester.request(echo, value)
  assert.equal(replier.requests.length, 1)
})

test('a request that could not leave meanwhile says why', async () => {
  const replyRouting = new StagedRouting()
  const { requester, clock } = await setUp(undefined, { replyRouting }, (transport) =>
    altered(transport, { send: () => new Promise(() => {}), withdraw: () => true }),
  )
  const error = new TransportError('MILENA_BROKER_UNREACHABLE', 'no broker has answered for 2 s')
  replyRouting.tell({ kind: 'away', since: Date.UTC(2026, 0, 2), error })
  const outcome = assert.rejects(requester.request(echo, value, { timeout: 50 }), {
    code: 'MILENA_NOT_SENT',
    message: /within its 50 ms and was taken back; replies cannot be received: away since 2026.*for 2 s$/,
  })
  await until(() => requester.stats().pending === 1)
  await clock.advance(50)
  await outcome
})

test('a request that was prepared before the trouble is refused when it is registered', async () => {
  const replyRouting = new StagedRouting()
  const { requester } = await setUp(undefined, { replyRouting })
  const prepared = await requester.prepare(echo, value)
  replyRouting.tell(gone)
  assert.throws(() => requester.register(prepared), code('MILENA_NOT_RECEIVING'))
  replyRouting.tell()
  const pending = requester.register(prepared)
  await pending.dispatch()
  await pending.reply
})

test('with `wait` requests wait, within their timeout, and are sent when replies can be received again', async () => {
  const replyRouting = new StagedRouting()
  const { requester, replier, clock } = await setUp(undefined, { replyRouting, whileNotReceiving: 'wait' })
  await requester.request(echo, value)
  replyRouting.tell(gone)
  const early = assert.rejects(
    requester.request(echo, value, { timeout: 50 }),
    code('MILENA_NOT_RECEIVING', { sent: 'no', retryable: true }),
  )
  const asked = requester.request(echo, Buffer.from('patient'), { timeout: 500 })
  await until(() => requester.stats().preparing === 2)
  await clock.advance(50)
  await early
  assert.equal(replier.requests.length, 1)
  replyRouting.tell()
  assert.equal((await asked).value.toString(), 'patient')
  assertAccounted(requester)
})

test('a timeout says what kept replies from being received while it waited, also when that is over', async () => {
  const replyRouting = new StagedRouting()
  const { requester, replier, clock } = await setUp(() => undefined, { replyRouting })
  const messages: string[] = []
  const request = (timeout: number): void =>
    void requester.request(echo, value, { timeout }).catch((error: Error) => messages.push(error.message))
  request(50)
  request(100)
  await until(() => replier.requests.length === 2)
  replyRouting.tell(gone)
  await clock.advance(50)
  replyRouting.tell()
  await clock.advance(50)
  request(10)
  await until(() => replier.requests.length === 3)
  await clock.advance(10)
  replyRouting.context!.unreadable({
    topic: 'replies',
    partition: 2,
    offset: 5,
    next: 6,
    bytes: 9,
    reason: 'damaged',
  })
  request(10)
  await until(() => replier.requests.length === 4)
  replyRouting.context!.unreadable({
    topic: 'replies',
    partition: 2,
    offset: 6,
    next: 7,
    bytes: 9,
    reason: 'damaged',
  })
  await clock.advance(10)
  assert.match(messages[0]!, /replies cannot be received: topic-missing/)
  assert.match(messages[1]!, /could not be received for a while: topic-missing/)
  assert.match(
    messages[2]!,
    /replier of topic requests is running, .* lag.* replyTopics allow replies .* rights .* clocks/,
  )
  assert.match(messages[3]!, /replies\[2\] at offset 6 could not be read: damaged/)
  assert.equal(requester.stats().unreadable, 2)
})

test('when the shared transport is closed first, what is pending is told at once, and close waits for nothing', async () => {
  const broker = createMemoryBroker({
    topics: [
      { name: 'requests', partitions: 1 },
      { name: 'replies', partitions: 1 },
    ],
  })
  const transport = broker.connect()
  const replyRouting = replyPartition({ topic: 'replies', partition: 0 })
  const requester = await createRequester({ transport, replyRouting, timeout: 60_000, drainTimeout: 60_000 })
  opened.push(requester)
  let ended = ''
  const asked = requester.request(echo, value).catch((error: Error) => (ended = error.message))
  await until(() => requester.stats().pending === 1 && requester.stats().sending === 0)
  await transport.close()
  await until(() => ended !== '')
  assert.match(ended, /no reply can come: .*closed/)
  await asked
  await assert.rejects(requester.request(echo, value), code('MILENA_CLOSED', { sent: 'no' }))
  await requester.close()
  assert.equal(requester.stats().abandoned, 1)
})

test('a timer that fires late reads what has come before anything expires', async () => {
  const replyRouting = new StagedRouting()
  const { requester, replier, clock } = await setUp(() => undefined, { replyRouting })
  const caughtUp = Promise.withResolvers<void>()
  let asked = 0
  replyRouting.caughtUp = () => (asked++, caughtUp.promise)
  const replied = requester.request(echo, value, { timeout: 100 })
  const other = requester.request(echo, value, { timeout: 120 })
  const silent = assert.rejects(requester.request(echo, value, { timeout: 100 }), code('MILENA_TIMEOUT'))
  await until(() => replier.requests.length === 3)
  clock.jump(400)
  await clock.advance(0)
  assert.equal(asked, 1)
  assert.equal(requester.stats().timedOut, 0)
  await replier.answer(replier.requests[0]!, { value: Buffer.from('in time') })
  await replier.answer(replier.requests[1]!, { value: Buffer.from('in time') })
  assert.equal((await replied).value.toString(), 'in time')
  await other
  caughtUp.resolve()
  await silent
  const { timedOut, late } = requester.stats()
  assert.deepEqual([timedOut, late], [1, 0])
})

test('what has come is waited for a second at most, and not at all by a timer that is in time', async () => {
  const replyRouting = new StagedRouting()
  const { requester, replier, clock } = await setUp(() => undefined, { replyRouting })
  replyRouting.caughtUp = () => new Promise(() => {})
  let ended = 0
  const request = (timeout: number): void =>
    void requester.request(echo, value, { timeout }).catch(() => ended++)
  request(100)
  await until(() => replier.requests.length === 1)
  await clock.advance(100)
  assert.equal(ended, 1)
  request(100)
  request(300)
  await until(() => replier.requests.length === 3)
  clock.jump(151)
  await clock.advance(0)
  assert.equal(ended, 1)
  await clock.advance(999)
  assert.equal(ended, 2) // the one of 300 ms was in time
  await clock.advance(1)
  assert.equal(ended, 3)
  // A trouble, or a routing that throws, is nothing to wait for.
  for (const caughtUp of [() => Promise.reject(new Error('no')), () => assert.fail('no')]) {
    replyRouting.caughtUp = caughtUp
    request(100)
    await clock.advance(0)
    clock.jump(400)
    await clock.advance(0)
  }
  assert.equal(ended, 5)
})

test('requests of one key are sent in the order in which they were asked, whatever each waits for', async () => {
  const decide = new Map<string, () => void>()
  const validate = (
    given: unknown,
  ): StandardSchemaV1.Result<string> | Promise<StandardSchemaV1.Result<string>> => {
    const text = String(given)
    if (!text.startsWith('slow')) return { value: text }
    return new Promise((resolve) => decide.set(text, () => resolve({ value: text })))
  }
  const schema: StandardSchemaV1<string, string> = { '~standard': { version: 1, vendor: 'test', validate } }
  const ordered = defineOperation({
    name: 'o',
    topic: 'requests',
    request: string(schema),
    reply: string(),
    key: () => 'account',
  })
  const lookUp = Promise.withResolvers<void>()
  const sent: string[] = []
  const { requester, clock } = await setUp(undefined, {}, (transport) =>
    altered(transport, {
      async describeTopics(names) {
        if (names?.includes('requests')) await lookUp.promise
        return transport.describeTopics(names)
      },
      send(record) {
        if (record.topic === 'requests') sent.push(String(record.value))
        return transport.send(record)
      },
    }),
  )
  const ask = (text: string, options = {}): Promise<unknown> =>
    requester.request(ordered, text, options).catch(() => {})
  const all = [
    ask('slow 1'),
    ask('2'),
    ask('slow 3'),
    ask('4'),
    ask('slow gives up', { timeout: 10 }),
    ask('6'),
  ]
  const elsewhere = ask('another key', { key: 'b' })
  lookUp.resolve()
  await elsewhere
  decide.get('slow 3')!()
  await clock.advance(10)
  assert.deepEqual(sent, ['another key'])
  // The topic is known now: one that has nothing to wait for itself still has its turn.
  all.push(ask('7'))
  decide.get('slow 1')!()
  await Promise.all(all)
  assert.deepEqual(sent, ['another key', 'slow 1', '2', 'slow 3', '4', '6', '7'])
  await ask('8')
  assertAccounted(requester)
})

test('a stretch of the reply topic that cannot be read is a warning', async () => {
  const warnings = warningsSeen()
  const rejected = seenOn('milena:request:rejected')
  const replyRouting = new StagedRouting()
  await setUp(undefined, { replyRouting })
  replyRouting.context!.unreadable({
    topic: 'replies',
    partition: 2,
    offset: 5,
    next: 9,
    bytes: 9,
    reason: 'damaged',
  })
  const { context, details } = warnings[0]!
  assert.match(context, /cannot be read/)
  assert.deepEqual(details, { topic: 'replies', partition: 2, offset: 5, next: 9, reason: 'damaged' })
  assert.equal(rejected.length, 0)
})
