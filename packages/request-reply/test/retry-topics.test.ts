/** Retry topics: a chain of topics with a delay each, whose records wait without holding up anything else. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { TransportError } from '../src/errors.ts'
import type { HandlerContext } from '../src/replier/context.ts'
import type { ReplierOptions } from '../src/replier/options.ts'
import type { RawRequest } from '../src/replier/raw-request.ts'
import type { Replier } from '../src/replier/replier.ts'
import { originOf } from '../src/retry/origin.ts'
import { retryTopics, type RetryTopicsOptions } from '../src/retry/retry-topics.ts'
import { lastHeader, type RawHeader } from '../src/wire/headers.ts'
import { timeoutHeader } from '../src/wire/milena.ts'
import { until, type Asked } from './asking.ts'
import { ManualClock } from './manual-clock.ts'
import { echo, setUp, type Bench } from './replying.ts'

interface Retrying extends Bench {
  readonly clock: ManualClock
  readonly worker: Replier
  /** The tries, as `value#attempt@milliseconds topic`. */
  readonly tries: string[]
}

const delays = [1_000, 10_000]

async function retrying(
  t: TestContext,
  fail: (request: string, context: HandlerContext) => void,
  options: Partial<ReplierOptions> & {
    readonly partitions?: number
    readonly retry?: RetryTopicsOptions
    /** Stands outside of the retry topics. */
    readonly outside?: (request: RawRequest, kind: string) => void
  } = {},
): Promise<Retrying> {
  const { partitions = 1, retry = { delays }, outside, ...given } = options
  const bench = await setUp(t, partitions)
  const clock = new ManualClock()
  const tries: string[] = []
  const worker = bench.replier({ clock, clockTolerance: 0, createTopics: true, ...given })
  if (outside !== undefined) {
    worker.useRecords(async (request, next) => {
      const outcome = await next()
      outside(request, outcome.kind)
      return outcome
    })
  }
  worker.handle(
    echo,
    (request, context) => {
      tries.push(`${request}#${context.attempt}@${clock.monotonic()} ${context.position.topic}`)
      fail(request, context)
      return request
    },
    { useRecords: [retryTopics(retry)] },
  )
  await worker.start()
  return { ...bench, clock, worker, tries }
}

function failing(below: number): (request: string, context: HandlerContext) => void {
  return (request, { attempt }) => {
    if (request.startsWith('fail') && attempt < below) throw new Error('not now')
  }
}

test('what has failed is tried again in each retry topic, after its delay, and answered there', async (t) => {
  const { asking, clock, tries, worker, broker } = await retrying(t, failing(3), { partitions: 3 })
  const asked = await asking.ask('fail', { key: 'k', partition: 2 })
  await clock.advance(11_500)
  assert.equal((await asking.reply(asked)).text, 'fail')
  assert.deepEqual(
    tries.map((one) => one.replace(/@\d+/, '')),
    ['fail#1 shop_request', 'fail#2 shop_request-retry-1', 'fail#3 shop_request-retry-2'],
  )
  const times = tries.map((one) => Number(/@(\d+)/.exec(one)![1]))
  assert.ok(times[1]! >= 1_000 && times[1]! < 1_100 && times[2]! >= times[1]! + 10_000, String(times))
  const [retried] = broker.records('shop_request-retry-1')
  assert.equal(retried!.partition, 2)
  assert.equal(String(retried!.key), 'k')
  assert.equal(worker.stats().handedOver, 2)
  await until('all is finished', () => worker.stats().inHand === 0)
})

test('after the last topic the failure goes out, to the requester and the middleware outside', async (t) => {
  const seen: unknown[] = []
  const outside = (request: RawRequest, kind: string): void =>
    void seen.push([kind, request.topic, request.base, request.place, request.attempt, originOf(request)])
  const { asking, clock } = await retrying(t, failing(Infinity), { outside, retry: { delays: [5] } })
  await asking.answerTo('fine', { partition: 0 })
  const asked = await asking.ask('fail', { partition: 0 })
  await clock.advance(20)
  assert.equal((await asking.reply(asked)).error?.code, 'MILENA_HANDLER_FAILED')
  const { offset, partition } = asked.position
  const [, first, second] = seen as unknown[][]
  const { timestamp } = first![5] as { timestamp: number }
  const origin = { topic: 'shop_request', partition, offset, timestamp }
  assert.deepEqual(first, ['handed over', 'shop_request', 'shop_request', 0, 1, origin])
  assert.deepEqual(second, ['error', 'shop_request-retry-1', 'shop_request', 1, 2, origin])
})

test('its headers: all that it had, then those that Spring writes, byte for byte', async (t) => {
  const { asking, clock, broker } = await retrying(t, failing(Infinity))
  const forged: RawHeader[] = [
    [Buffer.from('kafka_original-offset'), Buffer.from([9])],
    [Buffer.from('retry_topic-attempts'), Buffer.from([0, 0, 0, 99])],
    [Buffer.from('trace'), Buffer.from('abc')],
  ]
  await asking.ask('fail', { headers: forged })
  await clock.advance(12_000)
  const [original] = broker.records('shop_request')
  const [first] = broker.records('shop_request-retry-1')
  const [second] = broker.records('shop_request-retry-2')
  assert.deepEqual(first!.headers.slice(0, original!.headers.length), original!.headers)
  assert.deepEqual(first!.value, original!.value)
  const header = (record: typeof first, name: string): Buffer =>
    lastHeader(record!.headers, Buffer.from(name))!
  for (const record of [first, second]) {
    assert.equal(String(header(record, 'kafka_original-topic')), 'shop_request')
    assert.equal(header(record, 'kafka_original-partition').toString('hex'), '00000000')
    assert.equal(header(record, 'kafka_original-offset').toString('hex'), '0000000000000000')
    assert.equal(header(record, 'kafka_original-timestamp').readBigInt64BE(), BigInt(original!.timestamp))
    assert.equal(String(header(record, 'kafka_dlt-original-consumer-group')), 'shop')
    // As `BigInteger.toByteArray`: six bytes for a time of this century.
    assert.equal(
      header(record, 'retry_topic-original-timestamp').toString('hex'),
      `0${original!.timestamp.toString(16)}`,
    )
  }
  assert.equal(header(first, 'retry_topic-attempts').toString('hex'), '00000002')
  assert.equal(header(second, 'retry_topic-attempts').toString('hex'), '00000003')
  assert.equal(
    header(first, 'retry_topic-backoff-timestamp').toString('hex'),
    `0${(1_700_000_000_000 + 1_000).toString(16)}`,
  )
})

test('no header is believed: whatever a record says, its attempt is the place of its topic', async (t) => {
  const { asking, clock, tries } = await retrying(t, () => {})
  const headers: RawHeader[] = [[Buffer.from('retry_topic-attempts'), Buffer.from([0, 0, 0, 7])]]
  await asking.answerTo('a', { headers })
  await asking.ask('b', { topic: 'shop_request-retry-2', headers })
  await clock.advance(10_100)
  assert.deepEqual(
    tries.map((one) => one.replace(/@\d+/, '')),
    ['a#1 shop_request', 'b#3 shop_request-retry-2'],
  )
})

test('a retry that cannot begin before the deadline is not made: the failure goes out at once', async (t) => {
  const { asking, clock, tries, broker } = await retrying(t, failing(Infinity))
  const soon = await asking.answerTo('fail 1', { deadline: clock.now() + 999 })
  assert.equal(soon.error?.code, 'MILENA_HANDLER_FAILED')
  assert.equal(broker.records('shop_request-retry-1').length, 0)
  const later = await asking.ask('fail 2', { deadline: clock.now() + 10_999 })
  await clock.advance(1_100)
  assert.equal((await asking.reply(later)).error?.code, 'MILENA_HANDLER_FAILED')
  assert.equal(tries.length, 3)
  assert.equal(broker.records('shop_request-retry-2').length, 0)
})

test('a deadline that passes in the retry topic counts there, though its record came in late', async (t) => {
  const { asking, clock } = await retrying(t, failing(Infinity), { retry: { delays: [10_000] } })
  const deadline = clock.now() + 5_000
  const headers = [timeoutHeader(60_000)]
  const asked = await asking.ask('x', { topic: 'shop_request-retry-1', deadline, headers })
  await clock.advance(10_100)
  assert.equal((await asking.reply(asked)).error?.code, 'MILENA_DEADLINE_EXCEEDED')
})

test('while the retry topic cannot be written to the partition stands still; its record is not handled again', async (t) => {
  let isAway = true
  const bench = await setUp(t)
  const clock = new ManualClock()
  const connection = bench.connect()
  const send = connection.send.bind(connection)
  connection.send = async (record) => {
    if (isAway && record.topic.includes('retry'))
      throw new TransportError('MILENA_BROKER_ERROR', 'not leader')
    return send(record)
  }
  const tries: string[] = []
  const worker = bench.replier({ clock, connection, createTopics: true })
  worker.handle(
    echo,
    (request, { attempt }) => {
      tries.push(`${request}#${attempt}`)
      failing(2)(request, { attempt } as HandlerContext)
      return request
    },
    { useRecords: [retryTopics({ delays })] },
  )
  await worker.start()
  const asked = await bench.asking.ask('fail', { key: 'a' })
  await clock.advance(2_000)
  const behind = await bench.asking.ask('behind', { key: 'b' })
  await clock.advance(10_000)
  const [stopped] = worker.health().stopped
  assert.equal(stopped?.reason, 'outcome')
  assert.match(String(stopped.error), /not leader/)
  assert.deepEqual(tries, ['fail#1'])
  assert.equal(bench.committed(), 0)
  isAway = false
  await clock.advance(31_000)
  assert.equal((await bench.asking.reply(asked)).text, 'fail')
  assert.equal((await bench.asking.reply(behind)).text, 'behind')
  assert.deepEqual(tries, ['fail#1', 'behind#1', 'fail#2'])
  assert.deepEqual(worker.health().stopped, [])
})

test('topics: made with as many partitions as the base has, or named when they are missing', async (t) => {
  const { connect } = await retrying(t, () => {}, { partitions: 3 })
  const topics = await connect().describeTopics()
  assert.equal(topics.get('shop_request-retry-1')?.partitions, 3)
  assert.equal(topics.get('shop_request-retry-2')?.partitions, 3)
  assert.equal(topics.has('shop_request-retry-3'), false)

  const bench = await setUp(t, 3)
  const worker = bench.replier()
  worker.handle(echo, (request) => request, { useRecords: [retryTopics({ delays: [1] })] })
  await assert.rejects(worker.start(), {
    code: 'MILENA_TOPIC_MISSING',
    message: /shop_request-retry-1 .*--partitions 3/,
  })
})

test('a retry topic with fewer partitions is told, and its records go by their key', async (t) => {
  const bench = await setUp(t, 3)
  await bench.connect().createTopics([{ name: 'shop_request-retry-1', partitions: 1 }])
  const worker = bench.replier()
  worker.handle(
    echo,
    (request, context) => {
      failing(2)(request, context)
      return request
    },
    { useRecords: [retryTopics({ delays: [1] })] },
  )
  await worker.start()
  assert.match(bench.warned[0]!.message, /fewer partitions/)
  assert.equal((await bench.asking.answerTo('fail', { partition: 2, key: 'k' })).text, 'fail')
})

/** A replier of one slot that finds a backlog in its retry topic, whose records wait a minute. */
async function withBacklog(
  t: TestContext,
  waiting: number,
  options: Partial<ReplierOptions>,
  handler: (request: string, topic: string) => unknown,
): Promise<Bench & { readonly clock: ManualClock; readonly worker: Replier }> {
  const bench = await setUp(t)
  const clock = new ManualClock()
  const topic = 'shop_request-retry-1'
  const filling = bench.connect()
  await filling.createTopics([{ name: topic, partitions: 1 }])
  const record = { topic, partition: 0, key: null, value: Buffer.from('"waits"'), headers: [] }
  for (let sent = 0; sent < waiting; sent += 2_000)
    await Promise.all(Array.from({ length: Math.min(2_000, waiting - sent) }, () => filling.send(record)))
  const worker = bench.replier({ clock, concurrency: 1, ...options })
  worker.handle(
    echo,
    async (request, { position }) => {
      await handler(request, position.topic)
      return request
    },
    { useRecords: [retryTopics({ delays: [60_000] })] },
  )
  await worker.start()
  await until('it has read some', () => worker.stats().delayed > 0)
  return { ...bench, clock, worker }
}

test('a backlog in a retry topic: one timer, and no more is held than one read brings', async (t) => {
  let waited = 0
  const handler = (_request: string, topic: string): void => void (topic !== 'shop_request' && waited++)
  const options = { maxInHand: 100_000, maxAhead: 200 }
  const { clock, worker, asking, warned } = await withBacklog(t, 20_000, options, handler)
  const { timers } = clock
  for (let asked = 0; asked < 50; asked++) await asking.answerTo('x')
  await until('these are finished', () => worker.stats().inHand === worker.stats().delayed)
  const { delayed } = worker.stats()
  assert.ok(delayed <= 1_000, `${delayed} wait`)
  assert.ok(clock.timers <= timers + 2, `${clock.timers} timers`)
  assert.equal(waited, 0)
  // It waits, and that is no trouble.
  assert.deepEqual(worker.health().stopped, [])
  assert.equal(worker.health().oldestInHand, undefined)
  assert.deepEqual(warned, [])
  await clock.advance(60_000)
  await until('the first of them are handled', () => waited >= delayed)
})

test('what waits in a retry topic takes no room from requests', async (t) => {
  const gate = Promise.withResolvers<void>()
  const { asking, worker } = await withBacklog(t, 2_000, { maxInHand: 100 }, () => gate.promise)
  const asked: Asked[] = []
  for (let read = 1; read <= 95; read++) {
    asked.push(await asking.ask('x'))
    await until('it is in hand', () => worker.stats().inHand - worker.stats().delayed === read)
  }
  gate.resolve()
  await Promise.all(asked.map((one) => asking.reply(one)))
})

test('closing does not wait for what waits in a retry topic, and leaves it to the next', async (t) => {
  const { asking, clock, worker, replier } = await retrying(t, failing(2))
  const asked = await asking.ask('fail')
  await until('it waits', () => worker.stats().delayed === 1)
  let closed = false
  void worker.close({ timeout: 60_000 }).then(() => (closed = true))
  await clock.advance(100)
  assert.equal(closed, true)
  const next = replier()
  next.handle(echo, (request, { attempt }) => `${request}#${attempt}`, {
    useRecords: [retryTopics({ delays: [1, 1] })],
  })
  await next.start()
  assert.equal((await asking.reply(asked)).text, 'fail#2')
})

test('operations of one topic must agree on its retry topics', async (t) => {
  const { replier } = await setUp(t)
  const worker = replier({ createTopics: true })
  worker.handle(echo, (request) => request, { useRecords: [retryTopics({ delays: [1] })] })
  worker.handle({ ...echo, name: 'other' }, (request) => request, {
    useRecords: [retryTopics({ delays: [2] })],
  })
  await assert.rejects(worker.start(), {
    code: 'MILENA_OPTIONS_INVALID',
    message: /two delays: give its operations the same/,
  })
})

test('options that cannot work are refused, all at once', () => {
  assert.throws(() => retryTopics({ delays: [], topic: 1, retryable: 1 } as unknown as RetryTopicsOptions), {
    code: 'MILENA_OPTIONS_INVALID',
    message: /delays must be .*topic must be .*retryable must be/,
  })
  assert.throws(() => retryTopics({ delays: [1, -1] }), { message: /delays\[1\]/ })
})
