/** Dead letters at the replier, on a broker in memory: what becomes one, how it looks, and what happens while it cannot be written. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { deadLetter, type DeadLetterOptions } from '../src/dead-letters/dead-letter.ts'
import { remoteFacts, ReplyError, type OptionsError } from '../src/errors.ts'
import type { RecordMiddleware } from '../src/replier/record-middleware.ts'
import type { ReplierOptions } from '../src/replier/options.ts'
import type { Replier } from '../src/replier/replier.ts'
import type { IncomingRecord, TopicSpec } from '../src/transport/transport.ts'
import { partitionForKey } from '../src/transport/partitioner.ts'
import type { SendFate } from '../src/transport/memory/faults.ts'
import { lastHeader, type RawHeader } from '../src/wire/headers.ts'
import { retry } from '../src/retry/retry.ts'
import { fixed } from '../src/retry/backoff.ts'
import { retryTopics } from '../src/retry/retry-topics.ts'
import { letterOriginNames, readPlace } from '../src/wire/dead-letter.ts'
import { until } from './asking.ts'
import { ManualClock } from './manual-clock.ts'
import { echo, setUp, type Bench } from './replying.ts'

interface Keeping extends Bench {
  readonly worker: Replier
  readonly letters: () => readonly IncomingRecord[]
  readonly handled: string[]
}

type Handler = (text: string) => string | Promise<string>

/** What its text says: `fail`, `decline` … */
const usual: Handler = (text) => {
  if (text.startsWith('fail')) throw new TypeError('no such account', { cause: new RangeError('7') })
  if (text.startsWith('decline')) throw new ReplyError('DECLINED', 'not today', { effect: 'none' })
  if (text.startsWith('object')) throw new ReplyError('OBJECTED', 'not like this')
  if (text.startsWith('busy')) throw new ReplyError('BUSY', 'later', { effect: 'none', retryable: true })
  return text
}

/** Three tries. */
const again: RecordMiddleware = async (request, next) => {
  const outcome = await next()
  return outcome.kind === 'error' && request.attempt < 3 ? { kind: 'later', notBefore: 0 } : outcome
}

const loud: Handler = () => {
  throw new Error('x'.repeat(100_000))
}

async function keep(
  t: TestContext,
  {
    letter = {},
    partitions = 1,
    inside = [],
    handler = usual,
    dlt,
    ...options
  }: Partial<ReplierOptions> & {
    readonly letter?: DeadLetterOptions
    readonly partitions?: number
    readonly inside?: readonly RecordMiddleware[]
    readonly handler?: Handler
    readonly dlt?: Partial<TopicSpec>
  } = {},
): Promise<Keeping> {
  const bench = await setUp(t, partitions)
  const handled: string[] = []
  await bench.connect().createTopics([{ name: 'shop_request-dlt', partitions, ...dlt }])
  const worker = bench.replier(options)
  worker.useRecords(deadLetter(letter))
  worker.handle(
    echo,
    (text) => {
      handled.push(text)
      return handler(text)
    },
    { useRecords: inside },
  )
  await worker.start()
  return { ...bench, worker, letters: () => bench.broker.records('shop_request-dlt'), handled }
}

const unlike: RawHeader[] = [[Buffer.from('milena-operation'), Buffer.from('unheard-of')]]

const text = (letter: IncomingRecord | undefined, name: string): string | undefined =>
  letter && lastHeader(letter.headers, Buffer.from(name))?.toString()

test('what failed is kept with its key, value and headers as they came, and Spring’s headers byte for byte', async (t) => {
  const { asking, letters, committed } = await keep(t, { partitions: 3 })
  const headers: RawHeader[] = [
    [Buffer.from('b'), Buffer.from([0xff])],
    [Buffer.from('a'), null],
    [Buffer.from('b'), Buffer.from('again')],
  ]
  await asking.answerTo('fine', { partition: 2 })
  const asked = await asking.ask('fail', { partition: 2, key: 'k', headers })
  const { error } = await asking.reply(asked)
  assert.deepEqual(error, {
    code: 'MILENA_DEAD_LETTERED',
    message:
      'given up, and kept as a dead letter: MILENA_HANDLER_FAILED: the handler failed; see the log of the replier',
    effect: undefined,
    retryable: false,
  })
  const [letter] = letters()
  assert.ok(letter)
  assert.equal(letter.partition, 2)
  assert.equal(String(letter.key), 'k')
  assert.equal(String(letter.value), '"fail"')
  assert.equal(letter.headers[0]![0].toString(), 'kafka_correlationId')
  const came = letter.headers.length - 13
  assert.deepEqual(
    letter.headers.slice(came - 3, came).map(([name, value]) => [String(name), value]),
    headers.map(([name, value]) => [String(name), value]),
  )
  const original = lastHeader(letter.headers, Buffer.from('kafka_dlt-original-timestamp'))!
  const stack = text(letter, 'kafka_dlt-exception-stacktrace')!
  assert.match(stack, /^TypeError: no such account\n {4}at /)
  assert.deepEqual(
    letter.headers.slice(came).map(([name, value]) => [String(name), value]),
    [
      ['kafka_dlt-exception-fqcn', Buffer.from('TypeError')],
      ['kafka_dlt-exception-cause-fqcn', Buffer.from('RangeError')],
      ['kafka_dlt-exception-message', Buffer.from('no such account')],
      ['kafka_dlt-exception-stacktrace', Buffer.from(stack)],
      ['kafka_dlt-original-topic', Buffer.from('shop_request')],
      ['kafka_dlt-original-partition', Buffer.from([0, 0, 0, 2])],
      ['kafka_dlt-original-offset', Buffer.from([0, 0, 0, 0, 0, 0, 0, 1])],
      ['kafka_dlt-original-timestamp', original],
      ['kafka_dlt-original-timestamp-type', Buffer.from('CreateTime')],
      ['kafka_dlt-original-consumer-group', Buffer.from('shop')],
      ['milena-dlt-code', Buffer.from('MILENA_HANDLER_FAILED')],
      ['milena-dlt-operation', Buffer.from('echo')],
      ['milena-dlt-attempts', Buffer.from('1')],
    ],
  )
  assert.ok(Math.abs(Number(original.readBigInt64BE()) - letter.timestamp) < 60_000)
  await until('it is committed', () => committed(2) === 2)
})

test('an answer is no dead letter; a failure, and what nobody is told of, is one', async (t) => {
  const { asking, letters, worker } = await keep(t)
  const oneWay = { replyTo: null, correlationId: null }
  const codes: (string | undefined)[] = []
  for (const [value, question] of [
    ['decline', {}],
    ['object', {}],
    // Nothing has tried it again: the requester may.
    ['busy', {}],
    ['late', { deadline: 1 }],
    ['fail', {}],
    ['unknown', { headers: unlike }],
  ] as const)
    codes.push((await asking.answerTo(value, question)).error?.code)
  assert.deepEqual(codes, [
    'DECLINED',
    'OBJECTED',
    'BUSY',
    'MILENA_DEADLINE_EXCEEDED',
    'MILENA_DEAD_LETTERED',
    'MILENA_DEAD_LETTERED',
  ])
  await asking.ask('decline one-way', oneWay)
  await asking.ask('object one-way', oneWay)
  await asking.ask('late one-way', { ...oneWay, deadline: 1 })
  await asking.ask(Buffer.from([0xff]), {})
  await asking.ask('no id', { correlationId: null })
  await asking.ask('elsewhere', { replyTo: { topic: 'audit_reply' } })
  await until('all are finished', () => worker.stats().committed === 12)
  assert.deepEqual(
    letters().map((letter) => [String(letter.value?.toString('latin1')), text(letter, 'milena-dlt-code')]),
    [
      ['"fail"', 'MILENA_HANDLER_FAILED'],
      ['"unknown"', 'MILENA_OPERATION_UNKNOWN'],
      ['"object one-way"', 'OBJECTED'],
      ['"late one-way"', 'MILENA_DEADLINE_EXCEEDED'],
      ['\u00ff', 'MILENA_CODEC_FAILED'],
      ['"no id"', 'unanswerable'],
      ['"elsewhere"', 'reply-topic-refused'],
    ],
  )
  assert.deepEqual(worker.stats().passedOver, { 'failed-one-way': 1, 'dead-lettered': 4 })
})

test('what was tried again in vain is a letter, with how often', async (t) => {
  const { asking, letters, handled } = await keep(t, { inside: [again] })
  assert.equal((await asking.answerTo('busy')).error?.code, 'MILENA_DEAD_LETTERED')
  assert.equal((await asking.answerTo('decline')).error?.code, 'DECLINED')
  assert.deepEqual(handled, ['busy', 'busy', 'busy', 'decline', 'decline', 'decline'])
  assert.deepEqual(
    letters().map((letter) => ['milena-dlt-attempts', 'milena-dlt-effect'].map((name) => text(letter, name))),
    [['3', 'none']],
  )
})

test('what has come over retry topics says where it stood first, and a retry that cannot begin is given up at once', async (t) => {
  const { asking, letters, broker } = await keep(t, {
    partitions: 2,
    createTopics: true,
    inside: [retryTopics({ delays: [5, 5] })],
  })
  await asking.answerTo('fine', { partition: 1 })
  assert.equal((await asking.answerTo('busy', { partition: 1 })).error?.code, 'MILENA_DEAD_LETTERED')
  const [first] = letters()
  assert.deepEqual(readPlace(first!.headers, letterOriginNames), {
    topic: 'shop_request',
    partition: 1,
    offset: 1,
    timestamp: broker.records('shop_request')[1]!.timestamp,
  })
  assert.deepEqual([first!.partition, text(first, 'milena-dlt-attempts')], [1, '3'])
  const { code } = (await asking.answerTo('busy', { deadline: Date.now() + 3 })).error!
  // Or its first try began too late already: then nothing was tried, and that is its answer.
  assert.ok(code === 'MILENA_DEAD_LETTERED' || code === 'MILENA_DEADLINE_EXCEEDED', code)
  const inPlace = await keep(t, { inside: [retry({ attempts: 3, backoff: fixed(60_000) })] })
  const soon = Date.now() + 30_000
  assert.equal(
    (await inPlace.asking.answerTo('busy', { deadline: soon })).error?.code,
    'MILENA_DEAD_LETTERED',
  )
  assert.equal((await inPlace.asking.answerTo('decline', { deadline: soon })).error?.code, 'DECLINED')
  assert.deepEqual(inPlace.handled, ['busy', 'decline'])
})

test('a handler that fails after its time has a letter, though its requester was answered before', async (t) => {
  const failing = Promise.withResolvers<string>()
  const { asking, letters, worker } = await keep(t, { handlerTimeout: 20, handler: () => failing.promise })
  assert.equal((await asking.answerTo('slow')).error?.code, 'MILENA_HANDLER_TIMEOUT')
  failing.reject(new Error('after all'))
  await until('it is kept', () => letters().length === 1)
  assert.equal(text(letters()[0], 'kafka_dlt-exception-message'), 'after all')
  await until('it is committed', () => worker.stats().committed === 1)
})

test('what fails while its partition goes to somebody else is that one’s to keep', async (t) => {
  const failing = Promise.withResolvers<string>()
  const { asking, letters, replier, handled, worker } = await keep(t, { handler: () => failing.promise })
  const asked = await asking.ask('lost')
  await until('it has begun', () => handled.length === 1)
  const next = replier()
  next.handle(echo, (value) => value)
  await worker.close({ timeout: 0 })
  await next.start()
  assert.equal((await asking.reply(asked)).text, 'lost')
  failing.reject(new Error('too late'))
  // By then a letter would stand there.
  for (const fence of ['a', 'b', 'c']) await asking.answerTo(fence)
  assert.equal(letters().length, 0)
})

test('what is ignored on purpose is not kept', async (t) => {
  const { asking, letters, worker } = await keep(t, { unknownOperations: 'ignore' })
  await asking.ask('x', { headers: unlike })
  await until('it is finished', () => worker.stats().committed === 1)
  assert.equal(letters().length, 0)
  assert.deepEqual(worker.stats().passedOver, { 'operation-unknown': 1 })
})

test('`which` chooses, and what it throws changes nothing', async (t) => {
  const { asking, letters, warned } = await keep(t, {
    letter: {
      which: (outcome, request, isUsual) => {
        if (String(request.value).includes('odd')) throw new Error('which')
        return outcome.kind === 'error' && (outcome.code === 'DECLINED' || !isUsual)
      },
    },
  })
  assert.equal((await asking.answerTo('decline')).error?.code, 'MILENA_DEAD_LETTERED')
  assert.equal((await asking.answerTo('fail')).error?.code, 'MILENA_HANDLER_FAILED')
  assert.equal((await asking.answerTo('fail oddly')).error?.code, 'MILENA_DEAD_LETTERED')
  assert.deepEqual(
    letters().map(({ value }) => String(value)),
    ['"decline"', '"fail oddly"'],
  )
  assert.ok(warned.some(({ message }) => message.startsWith('which of deadLetter has failed')))
})

test('who has done the work says so; that nothing was done is not said of what may be replayed', async (t) => {
  const { asking } = await keep(t, { letter: { which: () => true } })
  assert.equal((await asking.answerTo('decline')).error?.effect, 'none')
  assert.deepEqual(remoteFacts('MILENA_DEAD_LETTERED', { effect: 'none', retryable: true }), {
    outcomeKnown: false,
    retryable: false,
    effect: 'unknown',
  })
  assert.equal(remoteFacts('MILENA_DEAD_LETTERED', { effect: 'done' }).effect, 'done')
})

test('an error’s words are bounded, and left out where that is wanted', async (t) => {
  const { asking, letters } = await keep(t, { handler: loud })
  await asking.answerTo('a')
  assert.ok(letters()[0]!.size < 8_000, String(letters()[0]!.size))
  const quiet = await keep(t, { handler: loud, letter: { detail: 'class' } })
  await quiet.asking.answerTo('a')
  const names = quiet.letters()[0]!.headers.map(([name]) => String(name))
  assert.deepEqual(
    names.filter((name) => name.includes('exception')),
    ['kafka_dlt-exception-fqcn'],
  )
})

test('a record that dies again has the last error only, and every place where it died', async (t) => {
  const { asking, letters } = await keep(t)
  await asking.answerTo('fail', {
    headers: [
      [Buffer.from('kafka_dlt-original-topic'), Buffer.from('before')],
      [Buffer.from('kafka_dlt-exception-message'), Buffer.from('before')],
      [Buffer.from('milena-dlt-code'), Buffer.from('before')],
    ],
  })
  const all = letters()[0]!.headers.map(([name, value]) => `${String(name)}=${String(value)}`)
  const of = (name: string): string[] => all.filter((one) => one.startsWith(`${name}=`))
  assert.deepEqual(of('kafka_dlt-original-topic'), [
    'kafka_dlt-original-topic=before',
    'kafka_dlt-original-topic=shop_request',
  ])
  assert.deepEqual(of('kafka_dlt-exception-message'), ['kafka_dlt-exception-message=no such account'])
  assert.deepEqual(of('milena-dlt-code'), ['milena-dlt-code=MILENA_HANDLER_FAILED'])
})

test('while a letter cannot be written its partition stands still, and its handler is not run again', async (t) => {
  const clock = new ManualClock()
  const { asking, letters, worker, handled, committed, broker } = await keep(t, { clock })
  const fates: SendFate[] = ['not-sent', 'unknown']
  const written: string[] = []
  broker.faults = {
    send: ({ topic, value }) => {
      if (topic !== 'shop_request-dlt') return undefined
      written.push(String(value))
      return { fate: fates.shift() ?? 'deliver' }
    },
  }
  const fine = await asking.ask('fine')
  const failing = await asking.ask('fail', { replyTo: null, correlationId: null })
  const behind = await asking.ask('behind', { key: 'another' })
  await until('it was tried once', () => worker.health().stopped.length === 1)
  const [stopped] = worker.health().stopped
  assert.equal(stopped?.reason, 'outcome')
  assert.match(
    stopped.error!.message,
    /^the record at shop_request\/0\/1 could not be kept as a dead letter in shop_request-dlt, so its partition stands still: /,
  )
  await asking.reply(fine)
  await clock.advance(1_000)
  await until('it was tried twice', () => written.length === 2)
  assert.equal(committed(), failing.position.offset)
  assert.equal(letters().length, 0)
  await clock.advance(2_000)
  await asking.reply(behind)
  await clock.advance(10)
  await until('all is committed', () => committed() === 3)
  assert.deepEqual(worker.health().stopped, [])
  assert.deepEqual(
    handled.filter((text) => text === 'fail'),
    ['fail'],
  )
  assert.deepEqual(
    letters().map(({ value }) => String(value)),
    ['"fail"'],
  )
})

test('a letter that takes long is waited for at the next turn, not written again', async (t) => {
  const clock = new ManualClock()
  const { asking, letters, worker, broker } = await keep(t, { clock, handlerTimeout: 1_000 })
  let sends = 0
  broker.faults = {
    send: ({ topic }) => (topic === 'shop_request-dlt' ? (sends++, { ackDelay: 300 }) : undefined),
  }
  const asked = await asking.ask('fail')
  await until('it is in the log', () => letters().length === 1)
  // Also longer than a handler may take: that is no reason to commit a record whose letter may not be there.
  await clock.advance(5_000)
  await until('its partition stands still', () => worker.health().stopped.length === 1)
  await clock.advance(1_000)
  await until('it is acknowledged', () => asking.repliesTo(asked).length === 1)
  assert.equal(asking.repliesTo(asked)[0]!.error?.code, 'MILENA_DEAD_LETTERED')
  assert.equal(sends, 1)
})

test('a letter that is too large goes without its stack, then without its words, and else says what to do', async (t) => {
  const short = Buffer.from('"fail"')
  for (const [limit, left] of [
    [1_000, ['fqcn', 'cause-fqcn', 'message']],
    [450, ['fqcn', 'cause-fqcn']],
    [210, []],
  ] as const) {
    const { asking, letters } = await keep(t, { dlt: { configs: { 'max.message.bytes': String(limit) } } })
    await asking.answerTo(short)
    const names = letters()[0]!.headers.map(([name]) => String(name))
    assert.deepEqual(
      names.filter((name) => name.startsWith('kafka_dlt-exception-')).map((name) => name.slice(20)),
      left,
      String(limit),
    )
    assert.equal(text(letters()[0], 'milena-dlt-code'), 'MILENA_HANDLER_FAILED')
  }
  const { asking, worker, committed } = await keep(t, { dlt: { configs: { 'max.message.bytes': '100' } } })
  await asking.ask(short)
  await until('its partition stands still', () => worker.health().stopped.length === 1)
  assert.match(worker.health().stopped[0]!.error!.message, /raise max\.message\.bytes of shop_request-dlt/)
  assert.equal(committed(), 0)
})

test('the partition’s number is kept where the topic has it; without it the key decides', async (t) => {
  const { asking, letters } = await keep(t, { partitions: 3, dlt: { partitions: 2 } })
  for (const partition of [0, 1, 2]) await asking.answerTo(`fail ${partition}`, { partition, key: 'k' })
  const byKey = partitionForKey(Buffer.from('k'), 2)
  assert.deepEqual(
    letters()
      .map(({ value, partition }) => `${String(value)} in ${partition}`)
      .toSorted(),
    ['"fail 0" in 0', '"fail 1" in 1', `"fail 2" in ${byKey}`],
  )
})

test('a topic that was made again with fewer partitions is found out', async (t) => {
  const clock = new ManualClock()
  const { asking, letters, worker, connect } = await keep(t, { clock, partitions: 2 })
  const admin = connect()
  await admin.deleteTopics(['shop_request-dlt'])
  const asked = await asking.ask('fail', { partition: 1 })
  await until('its partition stands still', () => worker.health().stopped.length === 1)
  assert.match(worker.health().stopped[0]!.error!.message, /topic shop_request-dlt does not exist/)
  await admin.createTopics([{ name: 'shop_request-dlt', partitions: 1 }])
  await clock.advance(1_000)
  await until('it is answered', () => asking.repliesTo(asked).length === 1)
  assert.equal(letters().length, 1)
})

test('a missing topic ends the start, unless it is to be created: then with as many partitions', async (t) => {
  const bench = await setUp(t, 3)
  const refused = bench.replier()
  refused.useRecords(deadLetter())
  refused.handle(echo, usual)
  await assert.rejects(refused.start(), {
    code: 'MILENA_TOPIC_MISSING',
    message: /topic shop_request-dlt does not exist/,
  })
  const making = bench.replier({ createTopics: true })
  making.handle(echo, usual, { useRecords: [deadLetter({ topic: (base) => `${base}.DLT` })] })
  await making.start()
  const described = await bench.connect().describeTopics()
  assert.equal(described.get('shop_request.DLT')?.partitions, 3)
  assert.equal(described.has('shop_request-dlt'), false)
})

test('options that cannot work are listed, all of them', async (t) => {
  const wrong = { topic: 'x', which: 1, detail: 'all', what: 1 } as unknown as DeadLetterOptions
  assert.throws(
    () => deadLetter(wrong),
    (error: OptionsError) => error.problems.length === 4,
  )
  const bench = await setUp(t)
  const middleware = deadLetter({ topic: (base) => base })
  const worker = bench.replier()
  worker.handle(echo, usual, { useRecords: [middleware] })
  await assert.rejects(worker.start(), /the dead letters of shop_request would go to shop_request/)
  const shared = deadLetter()
  for (const isFirst of [true, false]) {
    const one = bench.replier({ createTopics: true })
    one.handle(echo, usual, { useRecords: [shared] })
    if (isFirst) await one.start()
    else await assert.rejects(one.start(), /it belongs to a replier already/)
  }
})
