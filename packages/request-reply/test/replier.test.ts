/** A request is handled and answered. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { defineOperation } from '../src/contract/operation.ts'
import { bytes, json, string } from '../src/contract/payload.ts'
import type { HandlerContext } from '../src/replier/context.ts'
import { lastHeader } from '../src/wire/headers.ts'
import { springProfile } from '../src/wire/spring.ts'
import { until } from './asking.ts'
import { approve, echo, setUp } from './replying.ts'

test('a request is handled and its reply goes to the address that it names', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier()
  worker.handle(approve, (request) => ({ approvalId: `${request.orderId}:${request.amount}` }))
  await worker.start()
  const asked = await asking.ask({ orderId: 'o-1' }, { replyTo: { topic: 'shop_reply', partition: 1 } })
  const { text, error, record } = await asking.reply(asked)
  assert.equal(text, '{"approvalId":"o-1:5"}')
  assert.equal(error, undefined)
  assert.equal(record.partition, 1)
})

test('the reply has the key of its request, and without a partition the key decides', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier()
  worker.handle(echo, (request) => request)
  await worker.start()
  const replies = await Promise.all(['a', 'b', 'a'].map((key) => asking.answerTo('x', { key })))
  assert.deepEqual(
    replies.map(({ record }) => String(record.key)),
    ['a', 'b', 'a'],
  )
  assert.equal(replies[0]!.record.partition, replies[2]!.record.partition)
  assert.equal((await asking.answerTo('x')).record.key, null)
})

test('the correlation id is echoed byte for byte, whatever its length', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier()
  worker.handle(echo, (request) => request)
  await worker.start()
  for (const id of [Buffer.from([0, 255, 13, 10]), Buffer.from('text-7f3a'), Buffer.alloc(255, 0xfe)]) {
    const { position } = await asking.ask('x', { correlationId: id })
    await asking.conditions.until('a reply has it', () =>
      asking.records.some(({ headers }) =>
        headers.some(([name, value]) => String(name) === 'kafka_correlationId' && value!.equals(id)),
      ),
    )
    assert.equal(position.topic, 'shop_request')
  }
})

test('void is an empty reply', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier()
  worker.handle(
    defineOperation({ name: 'note', topic: 'shop_request', request: z.string() }),
    () => undefined,
  )
  await worker.start()
  const { record, error } = await asking.answerTo('x')
  assert.equal(record.value?.length, 0)
  assert.equal(error, undefined)
})

test('bytes and text are replied as they are', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier()
  const raw = defineOperation({ name: 'raw', topic: 'shop_request', request: bytes(), reply: bytes() })
  const text = defineOperation({ name: 'text', topic: 'shop_request', request: string(), reply: string() })
  worker.handle(raw, (request) => Buffer.from(request.toReversed()))
  worker.handle(text, (request) => `say : ${request}`)
  await worker.start()
  const first = await asking.answerTo(Buffer.from([1, 2, 255]), { operation: 'raw' })
  assert.deepEqual([...first.record.value!], [255, 2, 1])
  assert.equal((await asking.answerTo(Buffer.from('hällo'), { operation: 'text' })).text, 'say : hällo')
})

test('several operations on one topic are told apart by their header', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier()
  worker.handle(echo, () => 'echo')
  worker.handle(approve, () => ({ approvalId: 'approved' }))
  await worker.start()
  assert.equal((await asking.answerTo('x', { operation: 'echo' })).text, 'echo')
  const approved = await asking.answerTo({ orderId: 'o' }, { operation: 'payment.approve' })
  assert.equal(approved.text, '{"approvalId":"approved"}')
})

test('one replier handles several topics', async (t) => {
  const { replier, asking, connect } = await setUp(t)
  await connect().createTopics([{ name: 'shop_other', partitions: 1 }])
  const worker = replier()
  worker.handle(echo, () => 'one')
  worker.handle(
    defineOperation({ name: 'echo', topic: 'shop_other', request: json(), reply: string() }),
    () => 'other',
  )
  await worker.start()
  assert.equal((await asking.answerTo('x', { topic: 'shop_other' })).text, 'other')
  assert.equal((await asking.answerTo('x')).text, 'one')
})

test('a request without an operation header goes where select says', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier({
    select: ({ headers, value }) => headers.text('type') ?? (String(value) === '"e"' ? 'echo' : undefined),
  })
  worker.handle(echo, () => 'echo')
  worker.handle(approve, () => ({ approvalId: 'approved' }))
  await worker.start()
  const type = [Buffer.from('type'), Buffer.from('payment.approve')] as const
  assert.match((await asking.answerTo({ orderId: 'o' }, { headers: [type] })).text, /approved/)
  assert.equal((await asking.answerTo('e')).text, 'echo')
  assert.equal((await asking.answerTo('?')).error?.code, 'MILENA_OPERATION_UNKNOWN')
})

test('a select that throws costs its request an error reply and nothing else', async (t) => {
  const { replier, asking, warned } = await setUp(t)
  const worker = replier({
    select({ value }) {
      if (String(value) === '"bad"') throw new Error('secret')
      return 'echo'
    },
  })
  worker.handle(echo, () => 'echo')
  worker.handle(approve, () => ({ approvalId: 'approved' }))
  await worker.start()
  const { error } = await asking.answerTo('bad')
  assert.equal(error?.code, 'MILENA_HANDLER_FAILED')
  assert.doesNotMatch(error.message, /secret/)
  assert.equal(warned[0]?.message, 'select failed')
  assert.equal((await asking.answerTo('good')).text, 'echo')
})

test('the handler is told where its request comes from', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier()
  const contexts: HandlerContext[] = []
  worker.handle(echo, (request, context) => {
    contexts.push(context)
    return request
  })
  await worker.start()
  const deadline = Date.now() + 60_000
  const asked = await asking.ask('x', {
    key: 'k',
    deadline,
    operation: 'echo',
    headers: [
      [Buffer.from('milena-instance'), Buffer.from('gateway-1')],
      [Buffer.from('traceparent'), Buffer.from('00-1')],
    ],
  })
  await asking.reply(asked)
  const [context] = contexts
  assert.equal(context?.operation, 'echo')
  assert.equal(context.correlationId, asked.id)
  assert.equal(String(context.key), 'k')
  assert.equal(context.deadline, deadline)
  assert.equal(context.instance, 'gateway-1')
  assert.equal(context.headers.text('traceparent'), '00-1')
  assert.deepEqual(context.position, asked.position)
  assert.ok(Math.abs(context.timestamp - Date.now()) < 60_000)
  assert.equal(context.signal.aborted, false)
})

test('headers are copied and added as asked, and cannot pass for our own', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier({
    copyHeaders: ['traceparent', 'absent'],
    replyHeaders: (context) => ({ served: context.operation, none: null }),
  })
  worker.handle(echo, (request) => request)
  await worker.start()
  const { record } = await asking.answerTo('x', {
    headers: [
      [Buffer.from('traceparent'), Buffer.from('old')],
      [Buffer.from('traceparent'), Buffer.from('new')],
      [Buffer.from('private'), Buffer.from('not copied')],
      [Buffer.from('milena-error-code'), Buffer.from('FORGED')],
    ],
  })
  assert.deepEqual(
    record.headers.map(([name, value]) => [
      String(name),
      String(name) === 'kafka_correlationId' || (value && String(value)),
    ]),
    [
      ['traceparent', 'new'],
      ['served', 'echo'],
      ['none', null],
      ['kafka_correlationId', true],
    ],
  )
})

test('a trace goes on across the reply, unless other headers are named', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier()
  worker.handle(echo, (request) => request)
  await worker.start()
  const trace = ['traceparent', 'tracestate', 'baggage'].map(
    (name) => [Buffer.from(name), Buffer.from('t')] as const,
  )
  const { record } = await asking.answerTo('x', { headers: trace })
  assert.deepEqual(
    record.headers.map(([name]) => String(name)),
    ['traceparent', 'tracestate', 'kafka_correlationId'],
  )
})

test('error replies carry copied and added headers too', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier({ copyHeaders: ['traceparent'], replyHeaders: { served: 'here' } })
  worker.handle(echo, () => {
    throw new Error('no')
  })
  await worker.start()
  const { record, error } = await asking.answerTo('x', {
    headers: [[Buffer.from('traceparent'), Buffer.from('t')]],
  })
  assert.equal(error?.code, 'MILENA_HANDLER_FAILED')
  assert.equal(String(lastHeader(record.headers, Buffer.from('traceparent'))), 't')
  assert.equal(String(lastHeader(record.headers, Buffer.from('served'))), 'here')
  assert.equal(record.value, null)
})

test('a request that names no reply topic is answered at the replyTo of its operation', async (t) => {
  const { replier, asking, connect } = await setUp(t)
  await connect().createTopics([{ name: 'elsewhere', partitions: 1 }])
  const worker = replier()
  worker.handle(echo, (request) => request, { replyTo: { topic: 'elsewhere', partition: 0 } })
  await worker.start()
  const { id } = await asking.ask('x', { replyTo: null })
  const other = await setUpTail(connect(), 'elsewhere')
  await until('the reply is there', () => other.length === 1)
  assert.equal(springProfile.readCorrelation(other[0]!.headers)?.toString('hex'), id)
  assert.equal((await asking.answerTo('x')).record.topic, 'shop_reply')
})

test('middlewares wrap the handler, the first outermost', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier()
  const steps: string[] = []
  worker.use(async (request, context, next) => {
    steps.push(`outer ${context.operation}`)
    const reply = await next()
    steps.push('outer after')
    return `<${String(reply)}>`
  })
  worker.use((request, _context, next) => {
    steps.push('inner')
    return request === 'short' ? 'cut short' : next()
  })
  worker.handle(echo, (request) => {
    steps.push('handler')
    return request
  })
  await worker.start()
  assert.equal((await asking.answerTo('x')).text, '<x>')
  assert.deepEqual(steps, ['outer echo', 'inner', 'handler', 'outer after'])
  assert.equal((await asking.answerTo('short')).text, '<cut short>')
  assert.equal(steps.filter((step) => step === 'handler').length, 1)
})

test('a request that was sent before the group first started is answered', async (t) => {
  const { replier, asking } = await setUp(t)
  const asked = await asking.ask('early')
  const worker = replier()
  worker.handle(echo, (request) => request)
  await worker.start()
  assert.equal((await asking.reply(asked)).text, 'early')
})

test('stats count what was done', async (t) => {
  const { replier, asking, committed } = await setUp(t)
  const worker = replier()
  worker.handle(echo, (request) => {
    if (request === 'bad') throw new Error('no')
    return request
  })
  await worker.start()
  await asking.answerTo('a')
  await asking.answerTo('bad')
  await asking.ask('c', { correlationId: null })
  await until('all is committed', () => worker.stats().committed === 3)
  const stats = worker.stats()
  assert.equal(committed(), 3)
  assert.deepEqual(
    [stats.groupId, stats.partitions, stats.received, stats.handled, stats.replied, stats.redelivered],
    ['shop', 1, 3, 2, 2, 0],
  )
  assert.deepEqual(stats.errorReplies, { MILENA_HANDLER_FAILED: 1 })
  assert.deepEqual(stats.passedOver, { unanswerable: 1 })
  assert.deepEqual([stats.inHand, stats.inHandBytes, stats.running, stats.paused], [0, 0, 0, 0])
  assert.equal(stats.handlerDuration.count, 2)
})

async function setUpTail(transport: import('../src/transport/transport.ts').Transport, topic: string) {
  const records: import('../src/transport/transport.ts').IncomingRecord[] = []
  await transport.tail({
    topic,
    partitions: 'all',
    from: 'earliest',
    onRecords: (more) => void records.push(...more),
  })
  return records
}
