/** What a requester, a replier and the others are given with a call, refused in the library's own words where it is wrong. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type * as library from '@milena/request-reply'
import * as all from '@milena/request-reply'
import {
  createMemoryBroker,
  type MemoryFaults,
  type MemoryTransportOptions,
} from '@milena/request-reply/testing'
import {
  methodsOf,
  refuseUnlisted,
  refuseWrongOptions,
  takes,
  type TakesOptions,
} from '../../../test/support/given-options.ts'

const operation = { topic: 'say_request', request: all.string(), reply: all.string() }
const say = all.defineOperation({ name: 'say', ...operation })
const memory = createMemoryBroker({
  topics: [
    { name: 'say_request', partitions: 2 },
    { name: 'say_request-dlt', partitions: 2 },
    { name: 'say_reply', partitions: 2 },
  ],
})
const transport = memory.connect()
const replier = all.createReplier({ transport, groupId: 'given' })
replier.handle(say, (text) => `say : ${text}`)
const requester = await all.createRequester({
  transport,
  timeout: 1_000,
  replyRouting: all.replyPartition({ topic: 'say_reply' }),
})
const letters = all.deadLetters({ transport, createTopics: true })
const saga = all.defineSaga({ name: 'trip' }).step('hotel', () => 'booked')
const sagas = all.createSagas({ store: new all.MemorySagaStore(), sagas: [saga], interval: 10 })

before(async () => {
  await Promise.all([replier.start(), sagas.start()])
})
after(async () => {
  await Promise.all([requester.close(), replier.close(), letters.close(), sagas.close()])
  await transport.close()
})

const ask: Record<keyof library.RequestOptions, unknown> = {
  timeout: 1_000,
  deadline: 4e12,
  signal: new AbortController().signal,
  headers: { a: 'b' },
  key: 'a',
  partition: 0,
  replyTopic: 'say_reply',
  idempotencyKey: 'a',
}
const { timeout: _, replyTopic: __, ...sent } = ask
const noMore = { optional: true }
const filter: Record<keyof library.LetterFilter, unknown> = {
  topic: 'say_request',
  operation: 'say',
  since: 0,
  until: 4e12,
  code: 'NO',
  key: 'a',
  limit: 1,
  signal: new AbortController().signal,
}

/** One that was not started: it takes no more handlers after that. */
function fresh(): library.Replier {
  return all.createReplier({ transport, groupId: 'fresh' })
}

const table: readonly TakesOptions[] = [
  takes<library.RequestOptions>('requester.request', (o) => requester.request(say, 'a', o), ask, noMore),
  takes<library.RequestOptions>('requester.prepare', (o) => requester.prepare(say, 'a', o), ask, noMore),
  takes<library.SendOptions>('requester.send', (o) => requester.send(say, 'a', o), sent, noMore),
  takes<library.RequestManyOptions<string>>(
    'requester.requestMany',
    (o) => requester.requestMany(say, 'a', o),
    { ...ask, count: 1, until: () => true, maxReplies: 1 },
    { apart: ['until'] },
  ),
  takes<library.RequestEachOptions<string>>(
    'requester.requestEach',
    (o) => whole(requester.requestEach(say, ['a'], o)),
    {
      concurrency: 1,
      signal: ask.signal,
      timeout: 1_000,
      deadline: 4e12,
      headers: { a: 'b' },
      replyTopic: 'say_reply',
      requestOptions: () => undefined,
    },
    noMore,
  ),
  takes<library.RegisterOptions<string>>(
    'requester.register',
    async (o) => {
      const pending = requester.register(await requester.prepare(say, 'a'), o)
      pending.settle(new Error('enough'))
    },
    { correlationId: Buffer.alloc(16, 1), onReply: () => 'done' },
    noMore,
  ),
  takes<library.OutcomeOptions>(
    'requester.outcome',
    (o) => requester.outcome(say, 'a', o),
    {
      timeout: 50,
      signal: ask.signal,
      request: { key: null, since: 0 },
      onTheWay: 0,
      clockTolerance: 0,
    },
    noMore,
  ),
  takes<{ readonly timeout?: number }>(
    'requester.close',
    async (o) => {
      const replyRouting = all.replyPartition({ topic: 'say_reply' })
      const another = await all.createRequester({ transport, replyRouting })
      try {
        await another.close(o)
      } finally {
        await another.close()
      }
    },
    { timeout: 0 },
    noMore,
  ),
  takes<library.HandleOptions>(
    'replier.handle',
    (o) => fresh().handle(say, (text) => text, o),
    {
      replyTo: { topic: 'say_reply' },
      copyHeaders: ['a'],
      replyHeaders: { a: 'b' },
      handlerTimeout: 1_000,
      leaveBehind: true,
      beforeFinish: () => undefined,
      use: [],
      useRecords: [],
    },
    noMore,
  ),
  takes<{ readonly timeout?: number }>('replier.close', (o) => fresh().close(o), { timeout: 0 }, noMore),
  takes<library.LetterFilter>('letters.list', (o) => letters.list(o), filter),
  takes<library.ReplayOptions>(
    'letters.replay',
    (o) => letters.replay({ topic: 'say_request' }, o),
    {
      dryRun: true,
      replyTo: 'requester',
      timeout: 1_000,
      again: false,
      evenIfDone: false,
      effectOf: () => 'none',
      by: 'me',
      signal: ask.signal,
    },
    noMore,
  ),
  takes<library.SagaFilter>(
    'sagas.list',
    (o) => sagas.list(o),
    { saga: 'trip', state: 'running', stuck: false, since: 0, limit: 1, after: '1' },
    noMore,
  ),
  takes<{ readonly signal?: AbortSignal }>(
    'sagas.watch',
    (o) => void sagas.watch(o),
    { signal: ask.signal },
    noMore,
  ),
  takes<{ readonly timeout?: number }>(
    'sagas.close',
    (o) => all.createSagas({ store: new all.MemorySagaStore(), sagas: [saga] }).close(o),
    { timeout: 0 },
    noMore,
  ),
  takes<library.StepOptions<unknown, unknown, unknown, unknown>>(
    'saga.step',
    (o) => all.defineSaga({ name: 'trip' }).step('hotel', () => 'booked', o),
    {
      compensate: () => undefined,
      timeout: 1_000,
      retry: { attempts: 1 },
      idempotent: true,
      compensation: { timeout: 1_000 },
    },
    noMore,
  ),
  takes<MemoryTransportOptions>(
    'memory.connect',
    (o) => memory.connect(o),
    { clientId: 'given', deliveryTimeout: 1_000, latency: 0 },
    noMore,
  ),
]

const withoutOptions = [
  ...['open', 'stats', 'health'].map((name) => `requester.${name}`),
  ...['use', 'useRecords', 'start', 'stats', 'health'].map((name) => `replier.${name}`),
  ...['show', 'close'].map((name) => `letters.${name}`),
  ...['start', 'run', 'get', 'stats', 'health', 'complete', 'retryNow', 'replies'].map(
    (name) => `sagas.${name}`,
  ),
  ...['addPartitions', 'records', 'committed', 'owner'].map((name) => `memory.${name}`),
]

refuseUnlisted(
  'methods',
  [
    ...methodsOf('requester', requester),
    ...methodsOf('replier', replier),
    ...methodsOf('letters', letters),
    ...methodsOf('sagas', sagas),
    ...methodsOf('saga', saga),
    ...methodsOf('memory', memory),
  ],
  table,
  withoutOptions,
)
refuseWrongOptions(table, {
  isRefusal: (error) => error instanceof all.OptionsError && error.code === 'MILENA_OPTIONS_INVALID',
  isOwn: (error) => all.isMilenaError(error),
})

/** Of no kind that anything here takes; that it is `never` is what lets it be given. */
const wrong = [undefined, null, 'say', 7, {}, [], () => undefined] as unknown as readonly never[]

test('how long closing may wait is bounded as an option, and for one close() need not be', async () => {
  const replyRouting = all.replyPartition({ topic: 'say_reply' })
  const store = new all.MemorySagaStore()
  for (const drainTimeout of [Infinity, 3_600_001, 0.5, -1])
    for (const open of [
      () => all.createRequester({ transport, replyRouting, drainTimeout }),
      () => all.createReplier({ transport, groupId: 'fresh', drainTimeout }),
      () => all.createSagas({ store, sagas: [saga], drainTimeout }),
    ])
      await refuses(
        open,
        drainTimeout === Infinity
          ? /drainTimeout .* from 0 to 3600000, not Infinity; close\(\{ timeout: Infinity \}\)/
          : /drainTimeout must be a whole number from 0 to 3600000, not [-.\d]+$/,
      )
  for (const each of [
    await all.createRequester({ transport, replyRouting, drainTimeout: 3_600_000 }),
    all.createReplier({ transport, groupId: 'fresh', drainTimeout: 3_600_000 }),
    all.createSagas({ store, sagas: [saga], drainTimeout: 3_600_000 }),
  ]) {
    await refuses(() => each.close({ timeout: -1 }), /timeout must be .*, 0 or more, or Infinity, not -1/)
    await each.close({ timeout: Infinity })
  }
})

test('something that is no operation is refused, wherever one is wanted', async () => {
  for (const given of wrong)
    for (const call of [
      () => requester.request(given, 'a'),
      () => requester.prepare(given, 'a'),
      () => requester.send(given, 'a'),
      () => requester.requestMany(given, 'a', { count: 1 }),
      () => whole(requester.requestEach(given, ['a'])),
      () => requester.outcome(given, 'a'),
      () => fresh().handle(given, (text) => text),
      () => all.requestRecord(given, 'a'),
    ])
      await refuses(call)
})

test('something that is no function is refused for a handler, a middleware, a batch’s work and a step', async () => {
  for (const given of wrong.slice(0, -1))
    for (const call of [
      () => fresh().handle(say, given),
      () => fresh().use(given),
      () => fresh().useRecords(given),
      () => all.batchHandler(given),
      () => all.defineSaga({ name: 'trip' }).step('hotel', given),
    ])
      await refuses(call)
})

test('something that is no schema, position or list is refused for one', async () => {
  for (const given of wrong.slice(1))
    for (const call of [() => all.json(given), () => all.string(given), () => all.bytes(given)])
      await refuses(call)
  for (const given of wrong) {
    await refuses(() => letters.show(given))
    if (!Array.isArray(given)) await refuses(() => whole(letters.replay(given)))
  }
  for (const given of wrong.filter((each) => typeof each !== 'string' && !Array.isArray(each)))
    await refuses(() => whole(requester.requestEach(say, given)))
})

test('an option that there is not is refused within an option, too', async () => {
  const replyTo = { topic: 'say_reply', partitons: 1 }
  const sasl = { mechanism: 'PLAIN', username: 'a', password: 'b', pasword: 'c' } as const
  const faults = { delay: () => 5 } as MemoryFaults
  for (const call of [
    () => fresh().handle(say, (text) => text, { replyTo }),
    () => all.requestRecord(say, 'a', { replyTo }),
    () => all.openKafka({ brokers: ['127.0.0.1:1'], sasl }),
    () => createMemoryBroker({ faults }),
    () => (createMemoryBroker().faults = faults),
  ])
    await refuses(call, /: there is no option (partitons|pasword|delay)$/)
  await refuses(() => createMemoryBroker({ faults: { send: 'lost' as never } }), /send must be a function/)
  const topics = [{ name: 'a', partition: 3 }] as never
  await refuses(() => createMemoryBroker({ topics }), /topics\[0\]: there is no option partition; /)
  for (const given of [...wrong, { name: 'a' }, { partitions: 1 }] as never[])
    await refuses(() => createMemoryBroker({ topics: [given] }), /topics\[0\]/)
})

test('headers in a list or a Map are refused, wherever headers are given', async () => {
  for (const given of [['a', 'b'], new Map([['a', 'b']]), new Headers({ a: 'b' })]) {
    const headers = given as never
    const replyRouting = all.replyPartition({ topic: 'say_reply' })
    const another = await all.createRequester({ transport, replyRouting, headers: () => headers })
    for (const call of [
      () => requester.request(say, 'a', { headers }),
      () => requester.send(say, 'a', { headers }),
      () => another.request(say, 'a'),
      () => all.requestRecord(say, 'a', { headers }),
      () => all.createReplier({ transport, groupId: 'fresh', replyHeaders: headers }),
      () => fresh().handle(say, (text) => text, { replyHeaders: headers }),
    ])
      await refuses(call, /eaders.* must be an object, such as .* not an object \((Array|Map|Headers)\)/)
    await another.close()
  }
})

test('what is no saga, and no outcome of a step, is refused', async () => {
  for (const given of wrong) {
    await refuses(() => sagas.run(given, 'trip-1', given))
    await refuses(() => sagas.complete('trip-1', 'hotel', given))
  }
})

test('an operation whose key is undefined is refused; null says that there is none', async () => {
  const lost = all.defineOperation({ name: 'say', ...operation, key: () => undefined as never })
  await assert.rejects(requester.request(lost, 'a'), /key must be .* not undefined; .* null/)
  await refuses(() => all.requestRecord(lost, 'a'))
  const none = all.defineOperation({ name: 'say', ...operation, key: () => null })
  assert.equal((await requester.request(none, 'a')).value, 'say : a')
  assert.equal((await requester.request(say, 'a', { key: undefined })).value, 'say : a')
})

/** Iterates to the end. */
async function whole(items: AsyncIterable<unknown>): Promise<void> {
  for await (const item of items) void item
}

async function refuses(call: () => unknown, message = /./): Promise<void> {
  await assert.rejects(
    async () => call(),
    (error) => {
      if (error instanceof all.OptionsError && error.code === 'MILENA_OPTIONS_INVALID') {
        assert.match(error.message, message)
        return true
      }
      throw error
    },
    `${String(call)} went through`,
  )
}

test('what defineOperation has not made is refused by requester and replier alike', async () => {
  const message = /the operation must be one that defineOperation has made/
  for (const given of [undefined, 'say', {}, { name: 'say', ...operation }] as never[]) {
    assert.throws(() => fresh().handle(given, () => 'x'), { code: 'MILENA_OPTIONS_INVALID', message })
    await assert.rejects(requester.request(given, 'a'), { code: 'MILENA_OPTIONS_INVALID', message })
  }
  const uncalled = { name: 'say', topic: 't', request: all.string } as never
  assert.throws(
    () => all.defineOperation(uncalled),
    /bytes\(\) or a codec of your own, not a function: call it$/,
  )
})
