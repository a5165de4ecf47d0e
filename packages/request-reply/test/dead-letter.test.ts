/** Dead letters at the replier, on a broker in memory: what becomes one, and how it looks. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { remoteFacts } from '../src/errors.ts'
import type { RecordMiddleware } from '../src/replier/record-middleware.ts'
import { fixed } from '../src/retry/backoff.ts'
import { retryTopics } from '../src/retry/retry-topics.ts'
import { retry } from '../src/retry/retry.ts'
import { letterOriginNames, readPlace } from '../src/wire/dead-letter.ts'
import { lastHeader, type RawHeader } from '../src/wire/headers.ts'
import { until } from './asking.ts'
import { type Handler, keep, text } from './letter-keeping.ts'
import { echo } from './replying.ts'

/** Three tries. */
const again: RecordMiddleware = async (request, next) => {
  const outcome = await next()
  return outcome.kind === 'error' && request.attempt < 3 ? { kind: 'later', notBefore: 0 } : outcome
}

const loud: Handler = () => {
  throw new Error('x'.repeat(100_000))
}

const unlike: RawHeader[] = [[Buffer.from('milena-operation'), Buffer.from('unheard-of')]]

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
