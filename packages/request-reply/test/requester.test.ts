/** A request, its record and its reply. */
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { test } from 'node:test'
import { MilenaError, RemoteError, ValidationError } from '../src/errors.ts'
import type { RequesterOptions } from '../src/requester/options.ts'
import { createRequester } from '../src/requester/requester.ts'
import { replyPartition } from '../src/routing/reply-partition.ts'
import { MessageHeaders } from '../src/wire/headers.ts'
import { errorHeaders } from '../src/wire/milena.ts'
import { add, code, echo, setUp, until } from './requesting.ts'

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
