import assert from 'node:assert/strict'
import { tracingChannel } from 'node:diagnostics_channel'
import { afterEach, test } from 'node:test'
import { defineOperation } from '../src/contract/operation.ts'
import { bytes } from '../src/contract/payload.ts'
import type { SendEndedStep, SendTrace } from '../src/diagnostics.ts'
import { TransportError } from '../src/errors.ts'
import { createReplier } from '../src/replier/replier.ts'
import type { OutgoingRecord, RecordPosition } from '../src/transport/transport.ts'
import { readDeadline } from '../src/wire/milena.ts'
import { springProfile } from '../src/wire/spring.ts'
import { altered, echo, opened, seenOn, setUp, StagedRouting, until } from './requesting.ts'

/** A transport that keeps what it is given, until the test says what becomes of it. */
function holding() {
  const given: {
    record: OutgoingRecord
    resolve: (position: RecordPosition) => void
    reject: (error: unknown) => void
  }[] = []
  const wrap = (transport: Parameters<typeof altered>[0]) =>
    altered(transport, {
      send: (record) =>
        record.topic === 'requests'
          ? new Promise((resolve, reject) => given.push({ record, resolve, reject }))
          : transport.send(record),
      withdraw: (record) => {
        const index = given.findIndex((one) => one.record === record)
        if (index === -1) return false
        const [taken] = given.splice(index, 1)
        taken!.reject(new TransportError('MILENA_NOT_SENT', 'taken back'))
        return true
      },
    })
  return { given, wrap }
}

const unsubscribe: (() => unknown)[] = []
afterEach(() => {
  for (const end of unsubscribe.splice(0)) end()
})

test('a request that is sent one way resolves with its position, and names nobody to answer', async () => {
  const { requester, broker } = await setUp(() => undefined)
  const handled: string[] = []
  const transport = broker.connect()
  const replier = createReplier({ transport, groupId: 'workers' })
  const seen: unknown[] = []
  replier.handle(echo, (value, context) => {
    handled.push(value.toString())
    seen.push(context.correlationId, context.headers.text('milena-operation'))
    return value
  })
  opened.push(transport, replier)
  await replier.start()
  const position = await requester.send(echo, Buffer.from('do it'), { key: 'k' })
  assert.equal(position.topic, 'requests')
  assert.equal(position.offset, 0)
  await until(() => replier.stats().committed > 0)
  assert.deepEqual(handled, ['do it'])
  assert.deepEqual(seen, [undefined, 'echo'])
  assert.equal(replier.stats().replied, 0)
  assert.deepEqual(requester.stats().oneWay, { accepted: 1, acknowledged: 1, failed: 0 })
  assert.equal(requester.stats().pending, 0)
  assert.equal(requester.stats().accepted, 0)
})

test('of one key what is sent and what is requested stands in the order in which it was asked', async () => {
  const { requester, replier } = await setUp((request) =>
    springProfile.readReplyRequest(request.headers) === undefined ? undefined : { value: request.value },
  )
  const keyed = defineOperation({
    name: 'keyed',
    topic: 'requests',
    request: bytes(),
    reply: bytes(),
    key: () => 'k',
  })
  const sends: Promise<unknown>[] = []
  for (let i = 0; i < 40; i++)
    sends.push(
      i % 2 === 0
        ? requester.send(keyed, Buffer.from(String(i)))
        : requester.request(keyed, Buffer.from(String(i))),
    )
  await Promise.all(sends)
  assert.deepEqual(
    replier.requests.map(({ value }) => Number(value!.toString())),
    Array.from({ length: 40 }, (_, i) => i),
  )
})

test('it counts against the bounds until the transport lets go of it', async () => {
  const { given, wrap } = holding()
  const { requester } = await setUp(() => undefined, { maxPending: 2 }, wrap)
  const sends = [requester.send(echo, Buffer.from('1')), requester.send(echo, Buffer.from('2'))]
  await until(() => given.length === 2)
  assert.equal(requester.stats().sending, 2)
  assert.ok(requester.stats().sendingBytes > 0)
  await assert.rejects(requester.send(echo, Buffer.from('3')), { code: 'MILENA_OVERLOADED', sent: 'no' })
  for (const { resolve } of given.splice(0)) resolve({ topic: 'requests', partition: 0, offset: 0 })
  await Promise.all(sends)
  assert.equal(requester.stats().sending, 0)
  assert.equal(requester.stats().rejected, 1)
})

test('its bytes count as those of a request do', async () => {
  const { given, wrap } = holding()
  const { requester } = await setUp(() => undefined, { maxPendingBytes: 3_000 }, wrap)
  const first = requester.send(echo, Buffer.alloc(2_000))
  await until(() => given.length === 1)
  await assert.rejects(requester.send(echo, Buffer.alloc(2_000)), { code: 'MILENA_OVERLOADED', sent: 'no' })
  await assert.rejects(requester.send(echo, Buffer.alloc(4_000)), { code: 'MILENA_RECORD_TOO_LARGE' })
  given[0]!.resolve({ topic: 'requests', partition: 0, offset: 0 })
  await first
  assert.deepEqual([requester.stats().sendingBytes, requester.stats().rejected], [0, 2])
})

test('an error says what is known: refused, in doubt, or nothing at all', async () => {
  const { given, wrap } = holding()
  const { requester } = await setUp(() => undefined, {}, wrap)
  const cases: [unknown, object][] = [
    [
      new TransportError('MILENA_RECORD_TOO_LARGE', 'too large'),
      { code: 'MILENA_RECORD_TOO_LARGE', sent: 'no', effect: 'none' },
    ],
    [
      new TransportError('MILENA_SEND_UNKNOWN', 'no answer'),
      { code: 'MILENA_SEND_UNKNOWN', sent: 'unknown', effect: 'unknown' },
    ],
    [new Error('a wrapper is broken'), { code: 'MILENA_SEND_UNKNOWN', sent: 'unknown', outcomeKnown: false }],
  ]
  for (const [thrown, expected] of cases) {
    const send = assert.rejects(requester.send(echo, Buffer.from('x')), expected)
    await until(() => given.length > 0)
    given.pop()!.reject(thrown)
    await send
  }
  assert.deepEqual(requester.stats().oneWay, { accepted: 3, acknowledged: 0, failed: 3 })
})

test('an abort takes back what is not on the wire, and is not sure of what is', async () => {
  const { given, wrap } = holding()
  const { requester } = await setUp(() => undefined, {}, wrap)
  const abort = new AbortController()
  const waiting = assert.rejects(requester.send(echo, Buffer.from('x'), { signal: abort.signal }), {
    code: 'MILENA_CANCELLED',
    sent: 'no',
    effect: 'none',
  })
  await until(() => given.length > 0)
  abort.abort(new Error('not any more'))
  await waiting
  assert.equal(requester.stats().sending, 0)
  const other = new AbortController()
  const onItsWay = assert.rejects(requester.send(echo, Buffer.from('y'), { signal: other.signal }), {
    code: 'MILENA_CANCELLED',
    sent: 'unknown',
  })
  await until(() => given.length > 0)
  const [sent] = given.splice(0)
  other.abort()
  await onItsWay
  assert.equal(requester.stats().sending, 1, 'the transport has it still')
  sent!.resolve({ topic: 'requests', partition: 0, offset: 0 })
  await until(() => requester.stats().sending === 0)
})

test('close waits for what is on its way, and then says that it is not known', async () => {
  const { given, wrap } = holding()
  const { requester } = await setUp(() => undefined, {}, wrap)
  const first = requester.send(echo, Buffer.from('x'))
  await until(() => given.length > 0)
  const [sent] = given.splice(0)
  const closing = requester.close({ timeout: 60_000 })
  await new Promise(setImmediate)
  sent!.resolve({ topic: 'requests', partition: 0, offset: 0 })
  await first
  await closing
  await assert.rejects(requester.send(echo, Buffer.from('y')), { code: 'MILENA_CLOSED', sent: 'no' })
  const another = holding()
  const { requester: second } = await setUp(() => undefined, {}, another.wrap)
  const open = assert.rejects(second.send(echo, Buffer.from('z')), {
    code: 'MILENA_ABANDONED',
    sent: 'unknown',
  })
  await until(() => another.given.length > 0)
  another.given.splice(0)
  await second.close({ timeout: 0 })
  await open
})

test('a topic that is gone is asked for again by the next one', async () => {
  const { given, wrap } = holding()
  const { requester } = await setUp(() => undefined, {}, wrap)
  const gone = requester.send(echo, Buffer.from('x'))
  await until(() => given.length === 1)
  given.pop()!.reject(new TransportError('MILENA_TOPIC_MISSING', 'it is gone'))
  await assert.rejects(gone, { code: 'MILENA_TOPIC_MISSING', sent: 'no' })
  const next = requester.send(echo, Buffer.from('y'))
  assert.equal(given.length, 0, 'it waits to know the topic')
  await until(() => given.length === 1)
  given.pop()!.resolve({ topic: 'requests', partition: 0, offset: 0 })
  await next
})

test('it needs no routing that can receive', async () => {
  const routing = new StagedRouting()
  const { requester } = await setUp(() => undefined, { replyRouting: routing })
  routing.tell({ kind: 'topic-missing', since: 0, error: new Error('the reply topic is gone') })
  await assert.rejects(requester.request(echo, Buffer.from('x')), { code: 'MILENA_NOT_RECEIVING' })
  await requester.send(echo, Buffer.from('y'))
})

test('its steps can be watched, and its headers added to', async () => {
  const { requester, replier } = await setUp(() => undefined, {
    headers: ({ correlationId }) => ({ hooked: String(correlationId) }),
  })
  const ended = seenOn<SendEndedStep>('milena:send:ended')
  const tracing = tracingChannel<unknown, SendTrace>('milena:send')
  const results: unknown[] = []
  const handlers = {
    start: (trace: SendTrace) =>
      void trace.headers.push([Buffer.from('traceparent'), Buffer.from('00-1-2-01')]),
    end: () => undefined,
    asyncStart: () => undefined,
    asyncEnd: (trace: SendTrace) => void results.push(trace.result),
    error: () => undefined,
  }
  tracing.subscribe(handlers)
  unsubscribe.push(() => tracing.unsubscribe(handlers))
  const position = await requester.send(echo, Buffer.from('x'))
  assert.deepEqual(results, [position])
  assert.equal(ended.length, 1)
  assert.deepEqual(ended[0]!.position, position)
  assert.equal(ended[0]!.error, undefined)
  await until(() => replier.requests.length > 0)
  const headers = replier.requests[0]!.headers.map(([name, value]) => `${name.toString()}=${String(value)}`)
  assert.ok(headers.includes('traceparent=00-1-2-01'))
  assert.ok(headers.includes('hooked=undefined'))
})

test('a deadline travels with it, and one that is over is not sent', async () => {
  const { requester, replier, clock } = await setUp(() => undefined)
  const deadline = clock.now() + 60_000
  await requester.send(echo, Buffer.from('x'), { deadline })
  await requester.send(echo, Buffer.from('y'))
  await until(() => replier.requests.length === 2)
  const deadlines = replier.requests.map(({ headers }) => readDeadline(headers))
  assert.deepEqual(new Set(deadlines), new Set([deadline, undefined]))
  const over = requester.send(echo, Buffer.from('z'), { deadline: clock.now() })
  await assert.rejects(over, { code: 'MILENA_NOT_SENT', sent: 'no', effect: 'none' })
  assert.equal(replier.requests.length, 2)
})

test('a deadline that is further away than its headers can say is left out of them', async () => {
  const { requester, replier, clock } = await setUp(() => undefined)
  const far = clock.now() + 100 * 365 * 86_400_000
  for (const deadline of [far, 1e300]) await requester.send(echo, Buffer.from('x'), { deadline })
  await until(() => replier.requests.length === 2)
  const names = new Set(['milena-deadline', 'milena-timeout'])
  const stated = replier.requests.flatMap(({ headers }) =>
    headers.filter(([name]) => names.has(name.toString())).map((header) => header.map(String)),
  )
  assert.deepEqual(stated, [['milena-deadline', String(far)]])
})

test('a signal that cannot be listened to is refused, and counts as that', async () => {
  const { requester, replier } = await setUp(() => undefined)
  const signal = {
    aborted: false,
    addEventListener: () => {
      throw new Error('nobody listens here')
    },
    removeEventListener: () => undefined,
  }
  const sent = requester.send(echo, Buffer.from('x'), { signal: signal as never })
  await assert.rejects(sent, { code: 'MILENA_OPTIONS_INVALID', sent: 'no' })
  assert.deepEqual([requester.stats().rejected, requester.stats().sending], [1, 0])
  assert.equal(replier.requests.length, 0)
})

test('what is told of one that was taken back names its operation as it is', async () => {
  const { given, wrap } = holding()
  const { requester } = await setUp(() => undefined, {}, wrap)
  const operation = defineOperation({ name: 'close; open', topic: 'requests', request: bytes() })
  const abort = new AbortController()
  const send = assert.rejects(requester.send(operation, Buffer.from('x'), { signal: abort.signal }), {
    code: 'MILENA_CANCELLED',
    message: 'operation close; open: cancelled by the caller; it was taken back before it was sent',
  })
  await until(() => given.length > 0)
  abort.abort()
  await send
})

test('options about a reply are refused, and so is what a request would be refused for', async () => {
  const { requester } = await setUp(() => undefined)
  await assert.rejects(requester.send(echo, Buffer.from('x'), { timeout: 5 } as never), {
    code: 'MILENA_OPTIONS_INVALID',
    message: /sent one way: there is no option timeout/,
  })
  await assert.rejects(requester.send(echo, 'no bytes' as never), { code: 'MILENA_CODEC_FAILED' })
  const elsewhere = defineOperation({ name: 'elsewhere', topic: 'nowhere', request: bytes() })
  await assert.rejects(requester.send(elsewhere, Buffer.from('x')), {
    code: 'MILENA_TOPIC_MISSING',
    sent: 'no',
  })
  assert.equal(requester.stats().rejected, 3)
})
