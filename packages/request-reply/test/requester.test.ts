import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { z } from 'zod'
import { defineOperation } from '../src/contract/operation.ts'
import { bytes, string } from '../src/contract/payload.ts'
import { MilenaError, RemoteError, TimeoutError, ValidationError } from '../src/errors.ts'
import { createRequester } from '../src/requester/requester.ts'
import type { RequesterOptions } from '../src/requester/options.ts'
import { replyPartition } from '../src/routing/reply-partition.ts'
import { createMemoryBroker } from '../src/transport/memory/broker.ts'
import { MessageHeaders } from '../src/wire/headers.ts'
import { errorHeaders } from '../src/wire/milena.ts'
import { answering } from '../src/testing/answering.ts'
import { code, echo, opened, setUp, until } from './requesting.ts'

const add = defineOperation({
  name: 'add',
  topic: 'requests',
  request: z.object({ a: z.number(), b: z.number() }),
  reply: z.object({ sum: z.number() }),
  key: (request) => `k${request.a}`,
})

test('a request gets the reply to itself, at this instance', async () => {
  const { requester } = await setUp()
  const values = Array.from({ length: 200 }, (_, n) => Buffer.from(`value ${n}`))
  const replies = await Promise.all(values.map((value) => requester.request(echo, value)))
  assert.deepEqual(
    replies.map((reply) => reply.value.toString()),
    values.map(String),
  )
  const stats = requester.stats()
  assert.equal(stats.accepted, 200)
  assert.equal(stats.replied, 200)
  assert.equal(stats.pending, 0)
  assert.equal(stats.pendingBytes, 0)
  assert.equal(stats.recordsRead, stats.ownRecordsRead)
  assert.equal(stats.roundTrip.count, 200)
})

test('the record carries key, correlation id, reply address, operation, instance and deadline', async () => {
  const { requester, replier, clock } = await setUp(() => ({ value: Buffer.from('{"sum":3}') }), {
    instanceId: 'gw-1',
  })
  const reply = await requester.request(add, { a: 1, b: 2 }, { timeout: 700, headers: { traceparent: 'tp' } })
  assert.deepEqual(reply.value, { sum: 3 })
  const [request] = replier.requests
  const headers = new MessageHeaders(request!.headers)
  assert.equal(request!.key?.toString(), 'k1')
  assert.equal(request!.value?.toString(), '{"a":1,"b":2}')
  assert.equal(headers.get('kafka_correlationId')?.toString('hex'), reply.correlationId)
  assert.equal(headers.get('kafka_correlationId')?.length, 16)
  assert.equal(headers.text('kafka_replyTopic'), 'replies')
  assert.deepEqual(headers.get('kafka_replyPartition'), Buffer.from([0, 0, 0, 2]))
  assert.equal(headers.text('milena-operation'), 'add')
  assert.equal(headers.text('milena-instance'), 'gw-1')
  assert.equal(headers.text('milena-deadline'), String(clock.now() + 700))
  assert.equal(headers.text('milena-timeout'), '700')
  assert.equal(headers.text('traceparent'), 'tp')
})

test('an invalid request is not sent, and the error names the operation and every failing path', async () => {
  const { requester, replier } = await setUp()
  const bad = { a: 'x', b: null } as unknown as { a: number; b: number }
  await assert.rejects(requester.request(add, bad), (error: unknown) => {
    assert.ok(error instanceof ValidationError)
    assert.equal(error.code, 'MILENA_REQUEST_INVALID')
    assert.equal(error.sent, 'no')
    assert.equal(error.operation, 'add')
    assert.deepEqual(
      error.issues.map((issue) => issue.path),
      ['a', 'b'],
    )
    return true
  })
  await requester.request(echo, Buffer.from('fence'))
  assert.equal(replier.requests.length, 1)
})

test('a reply that does not match the schema says that the work was done', async () => {
  const { requester } = await setUp(() => ({ value: Buffer.from('{"sum":"3"}') }))
  await assert.rejects(requester.request(add, { a: 1, b: 2 }), (error: unknown) => {
    assert.ok(error instanceof ValidationError)
    assert.equal(error.code, 'MILENA_REPLY_INVALID')
    assert.equal(error.sent, 'yes')
    assert.deepEqual(
      error.issues.map((issue) => issue.path),
      ['sum'],
    )
    return true
  })
  assert.equal(requester.stats().failed, 1)
})

test('an undecodable reply is an error that says so', async () => {
  const { requester } = await setUp(() => ({ value: Buffer.from('{"sum":') }))
  await assert.rejects(requester.request(add, { a: 1, b: 2 }), code('MILENA_CODEC_FAILED'))
})

test('an error reply becomes the remote error with code and message', async () => {
  const { requester } = await setUp(() => ({
    value: null,
    headers: errorHeaders({ code: 'DECLINED', message: 'card expired', effect: 'none' }),
  }))
  await assert.rejects(requester.request(add, { a: 1, b: 2 }), (error: unknown) => {
    assert.ok(error instanceof RemoteError)
    assert.equal(error.remoteCode, 'DECLINED')
    assert.equal(error.remoteMessage, 'card expired')
    assert.equal(error.outcomeKnown, true)
    return true
  })
  assert.equal(requester.stats().remoteErrors, 1)
})

test('a timeout is unknown, and the late reply is handed over with its request, once', async () => {
  const { requester, replier, clock, late } = await setUp(() => undefined)
  const outcome = assert.rejects(
    requester.request(add, { a: 1, b: 2 }, { timeout: 100 }),
    (error: unknown) => {
      assert.ok(error instanceof TimeoutError)
      assert.equal(error.code, 'MILENA_TIMEOUT')
      assert.equal(error.outcomeKnown, false)
      assert.equal(error.sent, 'yes')
      return true
    },
  )
  await until(() => replier.requests.length === 1)
  await clock.advance(100)
  await outcome
  await clock.advance(50)
  await replier.answer(replier.requests[0]!, { value: Buffer.from('{"sum":3}') })
  await replier.answer(replier.requests[0]!, { value: Buffer.from('{"sum":3}') })
  await until(() => requester.stats().duplicate === 1)
  assert.equal(late.length, 1)
  assert.deepEqual(late[0]!.request, { a: 1, b: 2 })
  assert.deepEqual(late[0]!.reply?.value, { sum: 3 })
  assert.equal(late[0]!.roundTrip, 150)
  const stats = requester.stats()
  assert.deepEqual(
    [stats.timedOut, stats.late, stats.duplicate, stats.foreign, stats.replied],
    [1, 1, 1, 0, 0],
  )
})

test('a late error reply is handed over as the error', async () => {
  const { requester, replier, clock, late } = await setUp(() => undefined)
  const outcome = assert.rejects(
    requester.request(add, { a: 1, b: 2 }, { timeout: 100 }),
    code('MILENA_TIMEOUT'),
  )
  await until(() => replier.requests.length === 1)
  await clock.advance(100)
  await outcome
  await replier.answer(replier.requests[0]!, {
    value: null,
    headers: errorHeaders({ code: 'DECLINED', message: 'no' }),
  })
  await until(() => late.length === 1)
  assert.equal(late[0]!.reply, undefined)
  assert.ok(late[0]!.error instanceof RemoteError)
})

test('duplicate, foreign and late replies are counted apart', async () => {
  const { requester, replier, broker } = await setUp()
  await requester.request(echo, Buffer.from('mine'))
  await replier.answer(replier.requests[0]!, { value: Buffer.from('mine') })
  const stranger = broker.connect()
  opened.push(stranger)
  await stranger.send({ topic: 'replies', partition: 2, key: null, value: null, headers: [] })
  await until(() => requester.stats().recordsRead === 3)
  const { duplicate, foreign, late, replied, ownRecordsRead } = requester.stats()
  assert.deepEqual(
    { duplicate, foreign, late, replied, ownRecordsRead },
    { duplicate: 1, foreign: 1, late: 0, replied: 1, ownRecordsRead: 2 },
  )
})

test('each request has its own timeout', async () => {
  const { requester, clock, replier } = await setUp(() => undefined, { timeout: 300 })
  const ended: string[] = []
  const watch = (name: string, request: Promise<unknown>): Promise<void> =>
    request.then(
      () => void ended.push(`${name} replied`),
      () => void ended.push(name),
    )
  const all = [
    watch('default', requester.request(echo, Buffer.alloc(1))),
    watch('short', requester.request(echo, Buffer.alloc(1), { timeout: 100 })),
    watch('long', requester.request(echo, Buffer.alloc(1), { timeout: 500 })),
  ]
  await until(() => replier.requests.length === 3)
  await clock.advance(99)
  assert.deepEqual(ended, [])
  await clock.advance(1)
  assert.deepEqual(ended, ['short'])
  await clock.advance(200)
  assert.deepEqual(ended, ['short', 'default'])
  await clock.advance(200)
  assert.deepEqual(ended, ['short', 'default', 'long'])
  await Promise.all(all)
})

test('an aborted signal ends the wait; the reply that comes all the same is late', async () => {
  const { requester, replier, late } = await setUp(() => undefined)
  const controller = new AbortController()
  const outcome = assert.rejects(
    requester.request(echo, Buffer.from('x'), { signal: controller.signal }),
    (error: unknown) => {
      assert.ok(error instanceof MilenaError)
      assert.equal(error.code, 'MILENA_CANCELLED')
      assert.equal(error.outcomeKnown, false)
      assert.equal(error.cause, 'the user left')
      return true
    },
  )
  await until(() => replier.requests.length === 1)
  controller.abort('the user left')
  await outcome
  await replier.answer(replier.requests[0]!, { value: Buffer.from('x') })
  await until(() => late.length === 1)
  assert.equal(requester.stats().cancelled, 1)
})

test('a signal that was aborted before sends nothing', async () => {
  const { requester, replier } = await setUp()
  await requester.request(echo, Buffer.from('first'))
  await assert.rejects(
    requester.request(echo, Buffer.from('x'), { signal: AbortSignal.abort() }),
    (error: unknown) =>
      error instanceof MilenaError && error.code === 'MILENA_CANCELLED' && error.sent === 'no',
  )
  await requester.request(echo, Buffer.from('fence'))
  assert.equal(replier.requests.length, 2)
})

test('no more than maxPending requests are pending; one more is rejected at once and not sent', async () => {
  const { requester, replier } = await setUp(() => undefined, { maxPending: 2 })
  const first = [requester.request(echo, Buffer.alloc(1)), requester.request(echo, Buffer.alloc(1))]
  await until(() => requester.stats().pending === 2)
  await assert.rejects(requester.request(echo, Buffer.alloc(1)), (error: unknown) => {
    assert.ok(error instanceof MilenaError)
    assert.equal(error.code, 'MILENA_OVERLOADED')
    assert.equal(error.retryable, true)
    assert.equal(error.sent, 'no')
    return true
  })
  assert.equal(requester.stats().rejected, 1)
  await until(() => replier.requests.length === 2)
  for (const request of replier.requests) await replier.answer(request, { value: request.value })
  await Promise.all(first)
  const again = requester.request(echo, Buffer.from('room again'))
  await until(() => replier.requests.length === 3)
  await replier.answer(replier.requests[2]!, { value: Buffer.from('yes') })
  assert.equal((await again).value.toString(), 'yes')
})

test('when maxPending is reached, a rejection comes before any work', async () => {
  const { requester, replier } = await setUp(() => undefined, { maxPending: 1 })
  const first = requester.request(echo, Buffer.alloc(1))
  await until(() => replier.requests.length === 1)
  let asked = 0
  const keyed = defineOperation({
    name: 'keyed',
    topic: 'requests',
    request: bytes(),
    reply: bytes(),
    key: () => `${asked++}`,
  })
  await assert.rejects(requester.request(keyed, Buffer.alloc(1)), code('MILENA_OVERLOADED'))
  assert.equal(asked, 0)
  await replier.answer(replier.requests[0]!, { value: null })
  await first
})

test('no more than maxPendingBytes are pending', async () => {
  const { requester, replier } = await setUp(() => undefined, { maxPendingBytes: 1000 })
  const first = requester.request(echo, Buffer.alloc(600))
  await until(() => replier.requests.length === 1)
  await assert.rejects(requester.request(echo, Buffer.alloc(401)), code('MILENA_OVERLOADED'))
  await replier.answer(replier.requests[0]!, { value: null })
  await first
  assert.equal(requester.stats().pendingBytes, 0)
})

test('close waits for pending replies', async () => {
  const { requester, replier } = await setUp(() => undefined, { drainTimeout: 1000 })
  const pending = requester.request(echo, Buffer.from('x'))
  await until(() => replier.requests.length === 1)
  const closing = requester.close()
  await assert.rejects(requester.request(echo, Buffer.from('y')), code('MILENA_CLOSED'))
  await replier.answer(replier.requests[0]!, { value: Buffer.from('in time') })
  assert.equal((await pending).value.toString(), 'in time')
  await closing
})

test('close rejects what is left after its bound, and leaves no timer', async () => {
  const { requester, replier, clock } = await setUp(() => undefined)
  const outcome = assert.rejects(requester.request(echo, Buffer.from('x')), (error: unknown) => {
    assert.ok(error instanceof MilenaError)
    assert.equal(error.code, 'MILENA_ABANDONED')
    assert.equal(error.outcomeKnown, false)
    return true
  })
  await until(() => replier.requests.length === 1)
  const closing = requester.close({ timeout: 500 })
  await clock.advance(500)
  await outcome
  await closing
  assert.equal(requester.stats().abandoned, 1)
  assert.equal(clock.timers, 0)
})

test('a request that the transport could not send is rejected with the reason, at once', async () => {
  const { requester, broker } = await setUp()
  await requester.request(echo, Buffer.from('first'))
  broker.faults = { send: () => ({ fate: 'not-sent' }) }
  await assert.rejects(requester.request(echo, Buffer.from('x')), (error: unknown) => {
    assert.ok(error instanceof MilenaError)
    assert.equal(error.code, 'MILENA_NOT_SENT')
    assert.equal(error.sent, 'no')
    return true
  })
  assert.equal(requester.stats().pending, 0)
})

test('a request that may have been sent still gets its reply', async () => {
  const { requester, broker } = await setUp()
  await requester.request(echo, Buffer.from('first'))
  broker.faults = {
    send: (record) => (record.topic === 'requests' ? { fate: 'unknown-appended' } : undefined),
  }
  assert.equal((await requester.request(echo, Buffer.from('x'))).value.toString(), 'x')
})

test('a request that may have been sent and gets no reply times out as unknown', async () => {
  const { requester, broker, clock } = await setUp()
  await requester.request(echo, Buffer.from('first'))
  let asked = 0
  broker.faults = { send: () => (asked++, { fate: 'unknown' }) }
  const outcome = assert.rejects(
    requester.request(echo, Buffer.from('x'), { timeout: 50 }),
    (error: unknown) => {
      assert.ok(error instanceof TimeoutError)
      assert.equal(error.sent, 'unknown')
      return true
    },
  )
  await until(() => asked === 1)
  await clock.advance(50)
  await outcome
})

test('a missing request topic is an error that names it and what makes it; then it works', async () => {
  const { requester, broker } = await setUp()
  const elsewhere = defineOperation({ name: 'e', topic: 'elsewhere', request: string(), reply: string() })
  await assert.rejects(requester.request(elsewhere, 'x'), (error: unknown) => {
    assert.ok(error instanceof MilenaError)
    assert.equal(error.code, 'MILENA_TOPIC_MISSING')
    assert.match(error.message, /elsewhere.*createTopics/)
    return true
  })
  const other = broker.connect()
  assert.equal((await other.describeTopics(['elsewhere'])).size, 0)
  await other.createTopics([{ name: 'elsewhere', partitions: 1 }])
  const replier = await answering(other, 'elsewhere')
  opened.push(other, replier)
  assert.equal((await requester.request(elsewhere, 'x')).value, 'x')
})

test('createTopics makes request and reply topics', async () => {
  const broker = createMemoryBroker()
  const transport = broker.connect()
  const requester = await createRequester({
    transport,
    replyRouting: replyPartition({ topic: 'new_reply' }),
    createTopics: true,
  })
  opened.push(transport, requester)
  const operation = defineOperation({ name: 'n', topic: 'new_request', request: string(), reply: string() })
  await assert.rejects(requester.request(operation, 'x', { timeout: 500 }), code('MILENA_TIMEOUT'))
  assert.deepEqual([...(await transport.describeTopics()).keys()].toSorted(), ['new_reply', 'new_request'])
})

test('the partition of a request is the operation’s choice or the caller’s, and must exist', async () => {
  const { requester, replier } = await setUp()
  const chosen = defineOperation({
    name: 'p',
    topic: 'requests',
    request: string(),
    reply: string(),
    partition: (value, partitions) => (value === 'last' ? partitions - 1 : partitions),
  })
  await requester.request(chosen, 'last')
  await requester.request(chosen, 'x', { partition: 0 })
  assert.deepEqual(
    replier.requests.map((request) => request.partition),
    [2, 0],
  )
  await assert.rejects(requester.request(chosen, 'none'), code('MILENA_PARTITION_MISSING'))
  await assert.rejects(requester.request(chosen, 'x', { partition: 1.5 }), code('MILENA_OPTIONS_INVALID'))
  assert.equal(requester.stats().pending, 0)
})

test('every problem of the options is listed at once', async () => {
  const options = {
    replyRouting: undefined,
    instanceId: 'a b',
    timeout: 0,
    timeuot: 5,
    maxPending: -1,
  } as unknown as RequesterOptions
  await assert.rejects(createRequester(options), (error: unknown) => {
    assert.ok(error instanceof MilenaError)
    assert.equal(error.code, 'MILENA_OPTIONS_INVALID')
    for (const name of ['replyRouting', 'instanceId', 'timeout', 'timeuot', 'maxPending'])
      assert.match(error.message, new RegExp(name))
    return true
  })
  await assert.rejects(createRequester({ replyRouting: replyPartition({ topic: 't' }) }), /kafka/)
})

test('a throwing onLateReply hurts nobody', async () => {
  const warnings: unknown[] = []
  const listen = (message: unknown): void => void warnings.push(message)
  subscribe('milena:warning', listen)
  after(() => unsubscribe('milena:warning', listen))
  const { requester, replier, clock } = await setUp(() => undefined, {
    onLateReply() {
      throw new Error('a fault of the application')
    },
  })
  const outcome = assert.rejects(
    requester.request(echo, Buffer.from('x'), { timeout: 10 }),
    code('MILENA_TIMEOUT'),
  )
  await until(() => replier.requests.length === 1)
  await clock.advance(10)
  await outcome
  await replier.answer(replier.requests[0]!, { value: null })
  await until(() => warnings.length === 1)
})

test('diagnostics tell each step of a request, and no payload', async () => {
  const steps: string[] = []
  const names = ['milena:request:accepted', 'milena:request:sent', 'milena:reply:received']
  const listeners = names.map((name) => {
    const listener = (message: unknown): void => {
      steps.push(name)
      assert.ok(!JSON.stringify(message).includes('secret'))
    }
    subscribe(name, listener)
    return [name, listener] as const
  })
  const { requester } = await setUp()
  await requester.request(echo, Buffer.from('secret'))
  await until(() => steps.length === 3)
  for (const [name, listener] of listeners) unsubscribe(name, listener)
  assert.deepEqual(steps.toSorted(), names.toSorted())
})

test('a request that is made while the requester closes is rejected, and leaves no rejection unhandled', async () => {
  const broker = createMemoryBroker({
    topics: [
      { name: 'requests', partitions: 1 },
      { name: 'replies', partitions: 1 },
    ],
  })
  const transport = broker.connect()
  const replyRouting = replyPartition({ topic: 'replies', partition: 0 })
  const requester = await createRequester({ transport, replyRouting })
  // The topic is not known yet, and the connection goes before the answer to a question about it could come.
  const closing = requester.close()
  const rejected = assert.rejects(requester.request(echo, Buffer.from('x')), code('MILENA_CLOSED'))
  await Promise.all([closing, rejected, transport.close()])
  await new Promise((resolve) => setImmediate(resolve))
})
