/** A record's way through the replier: one-way requests, what is known when it fails, and what handlers run in. */
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { tracingChannel } from 'node:diagnostics_channel'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import type { EncodeContext } from '../src/contract/codec.ts'
import { defineOperation } from '../src/contract/operation.ts'
import { json, string } from '../src/contract/payload.ts'
import type { HandlingTrace } from '../src/diagnostics.ts'
import { ReplyError } from '../src/errors.ts'
import type { Finished } from '../src/replier/before-finish.ts'
import { lastHeader } from '../src/wire/headers.ts'
import { Gates, until } from './asking.ts'
import { echo, setUp } from './replying.ts'

test('one-way: a request without a place for its reply is handled, with a correlation id or none', async (t) => {
  const { replier, asking, committed, broker, warned } = await setUp(t)
  const ids: unknown[] = []
  const worker = replier()
  worker.handle(echo, (request, { correlationId }) => {
    ids.push(correlationId)
    if (request === 'fail') throw new ReplyError('NO', 'not today')
    return 7 as never
  })
  await worker.start()
  const asked = await asking.ask('with', { replyTo: null })
  await asking.ask('without', { replyTo: null, correlationId: null })
  await asking.ask('fail', { replyTo: null })
  await until('all are committed', () => committed() === 3)
  assert.deepEqual(ids.slice(0, 2), [asked.id, undefined])
  assert.equal(broker.records('shop_reply').length, 0)
  assert.deepEqual(worker.stats().passedOver, { 'failed-one-way': 1 })
  assert.match(String(warned[0]!.details.detail), /NO: not today/)
})

test('one-way: replyTo answers those that can be told apart', async (t) => {
  const { replier, asking, committed, broker } = await setUp(t)
  const worker = replier()
  worker.handle(echo, (request) => request, { replyTo: { topic: 'shop_reply' } })
  await worker.start()
  assert.equal((await asking.answerTo('x', { replyTo: null })).text, 'x')
  await asking.ask('y', { replyTo: null, correlationId: null })
  await until('both are committed', () => committed() === 2)
  assert.equal(broker.records('shop_reply').length, 1)
})

test("unknownOperations: 'ignore' leaves them to another group, and counts them", async (t) => {
  const { replier, asking, committed, warned } = await setUp(t)
  const worker = replier({ unknownOperations: 'ignore' })
  worker.handle(echo, (request) => request)
  await worker.start()
  const asked = await asking.ask('x', { operation: 'other' })
  await until('it is committed', () => committed() === 1)
  assert.deepEqual(asking.repliesTo(asked), [])
  assert.deepEqual(worker.stats().passedOver, { 'operation-unknown': 1 })
  assert.match(String(warned[0]!.details.detail), /"other"/)
})

test('a ReplyError says what is known of the effect, and whether trying again helps; nonsense says nothing', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier()
  worker.handle(echo, (request) => {
    throw new ReplyError('X', 'x', JSON.parse(request) as object)
  })
  await worker.start()
  const facts = async (options: object): Promise<unknown> => {
    const { error } = await asking.answerTo(JSON.stringify(options))
    return { effect: error?.effect, retryable: error?.retryable }
  }
  assert.deepEqual(await facts({ effect: 'none', retryable: true }), { effect: 'none', retryable: true })
  assert.deepEqual(await facts({ effect: 'done' }), { effect: 'done', retryable: false })
  assert.deepEqual(await facts({}), { effect: undefined, retryable: false })
  assert.deepEqual(await facts({ effect: 'NONE', retryable: 'yes' }), { effect: undefined, retryable: false })
})

test('a partition that has moved hears nothing of failures, and gets the reply that was made', async (t) => {
  const { replier, asking, broker } = await setUp(t, 2)
  const gates = new Gates()
  gates.shut('fail', 'work')
  const first = replier({ drainTimeout: 0, concurrency: 8 })
  first.handle(echo, async (request) => {
    await gates.pass(request)
    if (request === 'fail') throw new Error('the pool is closed')
    return `${request} by the first`
  })
  await first.start()
  const failing = await asking.ask('fail', { partition: 0 })
  const working = await asking.ask('work', { partition: 1 })
  await gates.hasBegun('fail', 'work')
  const closing = first.close({ timeout: 0 })
  await until('it has let go', () => first.stats().partitions === 0)
  gates.open('fail', 'work')
  await until('both have ended', () => gates.ended.length === 2)
  const second = replier()
  second.handle(echo, (request) => `${request} by the second`)
  await second.start()
  await closing
  assert.equal((await asking.reply(failing)).text, 'fail by the second')
  await asking.reply(working)
  await until('it is answered', () => broker.records('shop_reply').length >= 2)
  assert.ok(broker.records('shop_reply').every(({ value }) => value !== null))
})

test('a handler that stops at the deadline, as its signal says, has not failed', async (t) => {
  const { replier, asking, warned } = await setUp(t)
  const worker = replier({ clockTolerance: 0 })
  worker.handle(echo, async (request, { signal }) => {
    if (request === 'sleep') await sleep(60_000, undefined, { signal })
    await new Promise((_resolve, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason as Error)),
    )
    return request
  })
  await worker.start()
  for (const request of ['sleep', 'wait']) {
    const { error } = await asking.answerTo(request, { deadline: Date.now() + 300 })
    assert.equal(error?.code, 'MILENA_DEADLINE_EXCEEDED')
    assert.match(error.message, /not known/)
    assert.doesNotMatch(error.message, /did nothing/)
  }
  assert.deepEqual(warned, [])
})

test('handlers begin in the async context of start(), not of whoever sent, or ended before', async (t) => {
  const { replier, asking } = await setUp(t)
  const storage = new AsyncLocalStorage<string>()
  const seen: unknown[] = []
  const worker = replier({ concurrency: 1 })
  worker.useRecords((_request, next) => {
    seen.push(storage.getStore())
    return next()
  })
  worker.handle(echo, async (request) => {
    seen.push(storage.getStore())
    storage.enterWith(`left behind by ${request}`)
    await sleep(1)
    return request
  })
  await storage.run('of the start', () => worker.start())
  await storage.run('of the sender', () =>
    Promise.all(['a', 'b', 'c'].map((value) => asking.answerTo(value, { key: 'k' }))),
  )
  assert.equal(seen.length, 6)
  assert.deepEqual(new Set(seen), new Set(['of the start']))
})

test('tracing: a store that is entered at the start is there in middleware and handler; each trace is one object', async (t) => {
  const { replier, asking } = await setUp(t)
  const storage = new AsyncLocalStorage<string>()
  const channel = tracingChannel<string, HandlingTrace>('milena:handling')
  const seen: unknown[] = []
  const traces = new Set<unknown>()
  channel.start.bindStore(storage, (trace) => `span of ${trace.operation}`)
  const listener = Object.fromEntries(
    (['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const).map((step) => [
      step,
      (trace: HandlingTrace) => {
        seen.push(step)
        traces.add(trace)
      },
    ]),
  ) as Record<'start' | 'end' | 'asyncStart' | 'asyncEnd' | 'error', (trace: HandlingTrace) => void>
  channel.subscribe(listener)
  t.after(() => {
    channel.unsubscribe(listener)
    channel.start.unbindStore(storage)
  })
  const worker = replier()
  worker.use((_request, _context, next) => {
    seen.push(storage.getStore())
    return next()
  })
  worker.handle(echo, async (request) => {
    await sleep(1)
    seen.push(storage.getStore())
    if (request === 'no') throw new Error('no')
    return request
  })
  await worker.start()
  await asking.answerTo('x', { operation: 'echo' })
  assert.deepEqual(seen, ['start', 'span of echo', 'end', 'span of echo', 'asyncStart', 'asyncEnd'])
  const [trace] = traces as Set<HandlingTrace>
  assert.equal(traces.size, 1)
  assert.ok(trace!.headers.length > 0)
  assert.equal(trace!.attempt, 1)
  assert.equal('result' in trace!, false)
  seen.length = 0
  await asking.answerTo('no')
  assert.deepEqual(seen, ['start', 'span of echo', 'end', 'span of echo', 'error', 'asyncStart', 'asyncEnd'])
})

test('what is validated is what is sent: what the schema strips stays here', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier()
  const operation = defineOperation({
    name: 'user',
    topic: 'shop_request',
    request: json(),
    reply: z.object({ id: z.string() }),
  })
  const row = { id: 'u-1', passwordHash: 'secret' }
  worker.handle(operation, () => row)
  await worker.start()
  assert.equal((await asking.answerTo('x')).text, '{"id":"u-1"}')
})

test('codecs may be asynchronous, see the headers and add their own; none of ours', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier()
  const own = {
    codec: 'own',
    schema: undefined,
    async encode(value: string, context?: EncodeContext) {
      await sleep(1)
      context!.addHeader(value === 'forge' ? 'milena-error-code' : 'schema-id', context!.topic)
      return Buffer.from(value)
    },
    async decode(
      bytes: Buffer | null,
      context?: { readonly headers: { text(name: string): string | undefined } },
    ) {
      await sleep(1)
      if (String(bytes) === 'bad') throw new TypeError('secret')
      return `${String(bytes)} v${context!.headers.text('version')}`
    },
  }
  worker.handle(
    defineOperation({ name: 'own', topic: 'shop_request', request: own, reply: own }),
    (request) => (request.startsWith('forge') ? 'forge' : request),
  )
  await worker.start()
  const headers = [[Buffer.from('version'), Buffer.from('2')]] as const
  const { text, record } = await asking.answerTo(Buffer.from('x'), { headers })
  assert.equal(text, 'x v2')
  assert.equal(String(lastHeader(record.headers, Buffer.from('schema-id'))), 'shop_reply')
  assert.equal((await asking.answerTo(Buffer.from('forge'))).error?.code, 'MILENA_REPLY_INVALID')
  const { error } = await asking.answerTo(Buffer.from('bad'))
  assert.equal(error?.code, 'MILENA_CODEC_FAILED')
  assert.match(error.message, /this delivery did nothing/)
  assert.doesNotMatch(error.message, /secret/)
})

test('a value that is larger than maxRequestBytes is not parsed', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier({ maxRequestBytes: 10 })
  let decoded = 0
  const plain = string()
  const request = {
    ...plain,
    decode: (bytes: Buffer | null) => {
      decoded++
      return String(bytes)
    },
  }
  worker.handle(
    defineOperation({ name: 'x', topic: 'shop_request', request, reply: string() }),
    (value) => value,
  )
  await worker.start()
  const { error } = await asking.answerTo(Buffer.alloc(11, 'x'))
  assert.equal(error?.code, 'MILENA_RECORD_TOO_LARGE')
  assert.match(error.message, /11 bytes, and at most 10 .*this delivery did nothing/)
  assert.equal(decoded, 0)
  assert.equal((await asking.answerTo(Buffer.alloc(10, 'x'))).text.length, 10)
})

test('beforeFinish is told the outcome, and what was thrown', async (t) => {
  const { replier, asking, committed } = await setUp(t)
  const finished: Finished[] = []
  const worker = replier({ beforeFinish: (one) => void finished.push(one) })
  const failure = new Error('no')
  worker.handle(echo, (request) => {
    if (request === 'no') throw failure
    return request
  })
  await worker.start()
  for (const value of ['x', 'no', Buffer.from('{')]) await asking.answerTo(value)
  await asking.ask('x', { correlationId: null })
  await until('all are committed', () => committed() === 4)
  assert.deepEqual(
    finished.map(({ outcome, error }) => [outcome.kind, error === failure, error === undefined]),
    [
      ['reply', false, true],
      ['error', true, false],
      ['error', false, false],
      ['passed over', false, true],
    ],
  )
})
