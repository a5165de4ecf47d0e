import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { test } from 'node:test'
import { z } from 'zod'
import { systemClock } from '../src/clock.ts'
import { defineOperation } from '../src/contract/operation.ts'
import { json } from '../src/contract/payload.ts'
import { ReplyError, TransportError } from '../src/errors.ts'
import type { Transport } from '../src/transport/transport.ts'
import { lastHeader } from '../src/wire/headers.ts'
import { Gates, until } from './asking.ts'
import { echo, setUp } from './replying.ts'

test("a handler's ReplyError is answered with its code and message", async (t) => {
  const { replier, asking, warned } = await setUp(t)
  const worker = replier()
  worker.handle(echo, () => {
    throw new ReplyError('CARD_DECLINED', 'the card was declined')
  })
  await worker.start()
  const { error } = await asking.answerTo('x')
  const expected = { code: 'CARD_DECLINED', message: 'the card was declined', effect: undefined }
  assert.deepEqual(error, { ...expected, retryable: false })
  assert.deepEqual(warned, [])
})

test('any other failure of a handler is answered at once, and nothing of it leaves the replier', async (t) => {
  const { replier, asking, warned } = await setUp(t)
  const worker = replier()
  worker.handle(echo, (request) => {
    if (request === 'nothing') throw undefined
    if (request === 'later') return Promise.reject(new TypeError('secret-42'))
    throw new TypeError('secret-42')
  })
  await worker.start()
  for (const request of ['now', 'later', 'nothing']) {
    const { error, record } = await asking.answerTo(request)
    assert.equal(error?.code, 'MILENA_HANDLER_FAILED')
    const all = JSON.stringify(record.headers.map(([name, value]) => [String(name), String(value)]))
    assert.doesNotMatch(all, /secret|TypeError|\.ts|at /)
    assert.equal(record.value, null)
  }
  // Its own log says all of it; the second is of the first one's kind.
  assert.deepEqual(
    warned.map(({ details }) => details.error),
    ['TypeError: secret-42', 'Error: undefined'],
  )
  assert.match(String(warned[0]!.details.stack), /TypeError: secret-42\n +at .*replier-errors\.test/)
})

test('a ReplyError whose code is a number, or missing, is answered all the same', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier()
  worker.handle(echo, (request) => {
    throw new ReplyError((request === 'number' ? 402 : undefined) as never, 'declined')
  })
  await worker.start()
  const { error } = await asking.answerTo('number')
  assert.equal(error?.code, '402')
  assert.equal(error.message, 'declined')
  assert.equal((await asking.answerTo('missing')).error?.code, 'MILENA_HANDLER_FAILED')
})

test('exposeErrors shows message and stack of an unexpected failure', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier({ exposeErrors: true })
  worker.handle(echo, () => {
    throw new TypeError('what went wrong')
  })
  await worker.start()
  const { error } = await asking.answerTo('x')
  assert.equal(error?.code, 'MILENA_HANDLER_FAILED')
  assert.match(error.message, /what went wrong[^]*replier-errors\.test\.ts/)
})

test('an invalid request is answered with every failing path, and is not handled', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier()
  let handled = 0
  worker.handle(
    defineOperation({
      name: 'order',
      topic: 'shop_request',
      request: z.object({ id: z.string(), items: z.array(z.object({ price: z.number() })) }),
    }),
    () => void handled++,
  )
  await worker.start()
  const { error } = await asking.answerTo({ id: 7, items: [{ price: 1 }, { price: 'x' }] })
  assert.equal(error?.code, 'MILENA_REQUEST_INVALID')
  assert.match(error.message, /id: /)
  assert.match(error.message, /items\[1\]\.price: /)
  assert.equal(handled, 0)
})

test('a request that cannot be decoded is answered, and the next one is handled', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier()
  worker.handle(echo, (request) => request)
  await worker.start()
  for (const bytes of ['{"a":', '', '{"__proto__":{}}']) {
    assert.equal((await asking.answerTo(Buffer.from(bytes))).error?.code, 'MILENA_CODEC_FAILED')
  }
  assert.equal((await asking.answerTo('fine')).text, 'fine')
})

test('a reply that does not match its schema is answered with MILENA_REPLY_INVALID', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier()
  const operation = defineOperation({
    name: 'total',
    topic: 'shop_request',
    request: json(),
    reply: z.object({ total: z.number() }),
  })
  worker.handle(operation, () => ({ total: 'many' }) as never)
  await worker.start()
  const { error } = await asking.answerTo('x')
  assert.equal(error?.code, 'MILENA_REPLY_INVALID')
  assert.match(error.message, /total: /)
})

test('a reply that cannot be encoded is answered with MILENA_REPLY_INVALID', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier()
  worker.handle(
    defineOperation({ name: 'x', topic: 'shop_request', request: json(), reply: json() }),
    () => 1n,
  )
  await worker.start()
  assert.equal((await asking.answerTo('x')).error?.code, 'MILENA_REPLY_INVALID')
})

test('replyHeaders that throw, or name a header of ours, cost their request its reply and nothing else', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier({
    replyHeaders({ key }) {
      if (String(key) === 'throw') throw new Error('secret')
      return String(key) === 'forge' ? { 'milena-error-code': 'X' } : { ok: 'yes' }
    },
  })
  worker.handle(echo, (request) => request)
  await worker.start()
  for (const key of ['throw', 'forge']) {
    const { error } = await asking.answerTo('x', { key })
    assert.equal(error?.code, 'MILENA_REPLY_INVALID')
    assert.doesNotMatch(error.message, /secret/)
  }
  const { record } = await asking.answerTo('x', { key: 'fine' })
  assert.equal(String(lastHeader(record.headers, Buffer.from('ok'))), 'yes')
})

test('a request whose deadline has passed is not handled, and answered so', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier({ clockTolerance: 0 })
  let handled = 0
  worker.handle(echo, (request) => {
    handled++
    return request
  })
  await worker.start()
  const { error } = await asking.answerTo('x', { deadline: Date.now() - 1 })
  assert.equal(error?.code, 'MILENA_DEADLINE_EXCEEDED')
  assert.match(error.message, /this delivery did nothing/)
  assert.equal(handled, 0)
  assert.equal((await asking.answerTo('x', { deadline: Date.now() + 60_000 })).text, 'x')
})

test('a request that waited behind its key past its deadline is not handled', async (t) => {
  const { replier, asking } = await setUp(t)
  let now = 1_000
  const gates = new Gates()
  gates.shut('first')
  const worker = replier({
    clockTolerance: 0,
    clock: {
      now: () => now,
      monotonic: () => performance.now(),
      schedule(delay, run) {
        const timer = setTimeout(run, delay)
        return { cancel: () => clearTimeout(timer) }
      },
    },
  })
  worker.handle(echo, async (request) => {
    await gates.pass(request)
    return request
  })
  await worker.start()
  const first = await asking.ask('first', { key: 'k' })
  const second = await asking.ask('second', { key: 'k', deadline: 2_000 })
  await gates.hasBegun('first')
  now = 2_001
  gates.open('first')
  assert.equal((await asking.reply(first)).text, 'first')
  assert.equal((await asking.reply(second)).error?.code, 'MILENA_DEADLINE_EXCEEDED')
  assert.deepEqual(gates.began, ['first'])
})

test("the handler's signal fires at the request's deadline", async (t) => {
  const { replier, asking } = await setUp(t)
  // Its timers run and its time stands still: however slow the machine, the deadline is not over before the handler begins.
  const worker = replier({ clock: { ...systemClock, now: () => 1_000 }, clockTolerance: 0 })
  worker.handle(echo, async (_request, { signal }) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    return `stopped by ${(signal.reason as Error).name}`
  })
  await worker.start()
  const { text } = await asking.answerTo('x', { deadline: 1_030 })
  assert.equal(text, 'stopped by TimeoutError')
})

test('a deadline further away than a timer can wait does not fire at once', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier()
  worker.handle(echo, async (_request, { signal }) => {
    await new Promise((resolve) => setTimeout(resolve, 5))
    return String(signal.aborted)
  })
  await worker.start()
  assert.equal((await asking.answerTo('x', { deadline: 9_000_000_000_000_000 })).text, 'false')
})

test('an unknown operation is answered, and with several operations so is none', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier()
  worker.handle(echo, (request) => request)
  worker.handle(defineOperation({ name: 'other', topic: 'shop_request', request: json() }), () => undefined)
  await worker.start()
  const unknown = await asking.answerTo('x', { operation: 'no.such' })
  assert.equal(unknown.error?.code, 'MILENA_OPERATION_UNKNOWN')
  assert.match(unknown.error.message, /"no\.such"/)
  assert.equal((await asking.answerTo('x')).error?.code, 'MILENA_OPERATION_UNKNOWN')
})

for (const [what, question, reason] of [
  ['has no correlation id', { correlationId: null }, 'unanswerable'],
  ['has a correlation id too long', { correlationId: Buffer.alloc(256) }, 'unanswerable'],
  ['names the request topic for its reply', { replyTo: { topic: 'shop_request' } }, 'reply-topic-refused'],
  ['names a foreign topic for its reply', { replyTo: { topic: 'bank_reply' } }, 'reply-topic-refused'],
  [
    "names one of Kafka's topics for its reply",
    { replyTo: { topic: '__consumer_offsets' } },
    'reply-topic-refused',
  ],
  ['names a negative reply partition', { replyTo: { topic: 'shop_reply', partition: -1 } }, 'unanswerable'],
] as const) {
  test(`a request that ${what} is not handled, but counted, logged and passed over`, async (t) => {
    const { replier, asking, warned, broker, committed, connect } = await setUp(t)
    await connect().createTopics([{ name: 'bank_reply', partitions: 1 }])
    const worker = replier()
    const handled: string[] = []
    worker.handle(echo, (request) => {
      handled.push(request)
      return request
    })
    await worker.start()
    const { position } = await asking.ask('private', question)
    assert.equal((await asking.answerTo('next')).text, 'next')
    assert.deepEqual(handled, ['next'])
    assert.deepEqual(worker.stats().passedOver, { [reason]: 1 })
    assert.equal(warned.length, 1)
    assert.equal(warned[0]!.details.reason, reason)
    const { topic, partition, offset } = warned[0]!.details
    assert.deepEqual({ topic, partition, offset }, position)
    assert.doesNotMatch(JSON.stringify(warned), /private/)
    await until('it is committed', () => committed() === 2)
    assert.equal(broker.records('bank_reply').length, 0)
    assert.equal(broker.records('shop_request').length, 2)
  })
}

for (const [what, replyTo] of [
  ['a topic that does not exist', { topic: 'shop_gone_reply' }],
  ['a partition that does not exist', { topic: 'shop_reply', partition: 99 }],
] as const) {
  test(`a reply to ${what} is counted, logged and passed over, and does not stop the others`, async (t) => {
    const { replier, asking, warned, committed } = await setUp(t)
    const worker = replier()
    worker.handle(echo, (request) => request)
    await worker.start()
    await asking.ask('x', { replyTo })
    assert.equal((await asking.answerTo('next')).text, 'next')
    await until('both are committed', () => committed() === 2)
    assert.deepEqual(worker.stats().passedOver, { 'reply-undeliverable': 1 })
    assert.match(String(warned[0]!.details.detail), /MILENA_(TOPIC|PARTITION)_MISSING/)
  })
}

test('a reply that is too large becomes an error reply', async (t) => {
  const { replier, asking, connect } = await setUp(t)
  const inner = connect()
  const narrow = Object.create(inner, {
    send: {
      value(record: Parameters<Transport['send']>[0]) {
        const size =
          (record.value?.length ?? 0) +
          record.headers.reduce((sum, [, value]) => sum + (value?.length ?? 0), 0)
        if (size > 1_000)
          return Promise.reject(new TransportError('MILENA_RECORD_TOO_LARGE', `${size} bytes`))
        return inner.send(record)
      },
    },
  }) as typeof inner
  for (const method of ['join', 'describeTopics', 'createTopics'] as const) {
    Object.defineProperty(narrow, method, { value: inner[method].bind(inner) })
  }
  const worker = replier({ connection: narrow, copyHeaders: ['big'] })
  worker.handle(echo, (request) => (request === 'large' ? 'y'.repeat(2_000) : request))
  await worker.start()
  const large = await asking.answerTo('large')
  assert.equal(large.error?.code, 'MILENA_REPLY_INVALID')
  assert.match(large.error.message, /2000 bytes/)
  const copied = await asking.answerTo('x', { headers: [[Buffer.from('big'), Buffer.alloc(2_000)]] })
  assert.equal(copied.error?.code, 'MILENA_REPLY_INVALID')
  assert.equal((await asking.answerTo('small')).text, 'small')
})

test('a logger that throws harms nothing', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier({
    logger: {
      warn() {
        throw new Error('the disk is full')
      },
    },
  })
  worker.handle(echo, () => {
    throw new Error('no')
  })
  await worker.start()
  await asking.ask('x', { correlationId: null })
  assert.equal((await asking.answerTo('x')).error?.code, 'MILENA_HANDLER_FAILED')
})

test('every step is on its diagnostics channel, without payloads', async (t) => {
  const { replier, asking, committed } = await setUp(t)
  const seen: [string, Record<string, unknown>][] = []
  const listen = (message: unknown, name: string | symbol): void =>
    void seen.push([String(name), message as Record<string, unknown>])
  const names = [
    'milena:request:received',
    'milena:handler:started',
    'milena:handler:ended',
    'milena:reply:sent',
    'milena:offsets:committed',
    'milena:request:passed-over',
  ]
  for (const name of names) subscribe(name, listen)
  t.after(() => names.forEach((name) => unsubscribe(name, listen)))
  const worker = replier()
  worker.handle(echo, (request) => request)
  await worker.start()
  const asked = await asking.ask('private')
  await asking.reply(asked)
  await until('it is committed', () => committed() === 1)
  await asking.ask('private', { correlationId: null })
  await until('it is passed over', () => seen.some(([name]) => name === 'milena:request:passed-over'))
  const first = seen.filter(([, { correlationId }]) => correlationId === asked.id)
  assert.deepEqual(
    first.map(([name]) => name),
    ['milena:request:received', 'milena:handler:started', 'milena:handler:ended', 'milena:reply:sent'],
  )
  const commit = seen.find(([name]) => name === 'milena:offsets:committed')!
  assert.deepEqual(commit[1].offsets, [{ topic: 'shop_request', partition: 0, offset: 1 }])
  assert.doesNotMatch(JSON.stringify(seen), /private/)
})
