/** What applications and schemas can do to a requester at the wrong moment. */
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { test } from 'node:test'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { defineOperation } from '../src/contract/operation.ts'
import { string } from '../src/contract/payload.ts'
import { sharedReplyTopic } from '../src/routing/shared-reply-topic.ts'
import type { Transport } from '../src/transport/transport.ts'
import { MessageHeaders } from '../src/wire/headers.ts'
import { slowSchema } from './hung.ts'
import { altered, assertAccounted, code, echo, opened, seenOn, setUp, until } from './requesting.ts'

const throwing = (): never => {
  throw new Error('a fault of the application')
}

test('the time that an asynchronous schema takes comes off the timeout', async () => {
  const { schema, decide } = slowSchema()
  const slow = defineOperation({ name: 's', topic: 'requests', request: string(schema), reply: string() })
  const { requester, replier, clock } = await setUp(() => undefined)
  const outcome = assert.rejects(
    requester.request(slow, 'x', { timeout: 100 }),
    code('MILENA_TIMEOUT', { sent: 'yes' }),
  )
  await until(() => decide.length === 1)
  await clock.advance(60)
  decide[0]!()
  await until(() => replier.requests.length === 1)
  const deadline = new MessageHeaders(replier.requests[0]!.headers).text('milena-deadline')
  assert.equal(deadline, String(clock.now() + 40))
  await clock.advance(40)
  await outcome
  assertAccounted(requester)
})

test('an asynchronous reply schema is waited for until the deadline; what it says then is late', async () => {
  const { schema, decide } = slowSchema()
  const slow = defineOperation({ name: 's', topic: 'requests', request: string(), reply: string(schema) })
  const steps = seenOn('milena:reply:late')
  const { requester, replier, clock, late } = await setUp()
  const outcome = assert.rejects(requester.request(slow, 'x', { timeout: 100 }), code('MILENA_TIMEOUT'))
  await until(() => decide.length === 1)
  await clock.advance(100)
  await outcome
  await replier.answer(replier.requests[0]!, { value: Buffer.from('x') })
  await until(() => requester.stats().duplicate === 1)
  decide[0]!()
  await until(() => late.length === 1)
  assert.equal(late[0]!.reply?.value, 'x')
  assert.equal(requester.stats().late, 1)
  assert.equal(steps.length, 1)
  assert.equal(requester.stats().replied, 0)
  assertAccounted(requester)
})

test('a second reply while the first is being validated is a duplicate', async () => {
  const { schema, decide } = slowSchema()
  const slow = defineOperation({ name: 's', topic: 'requests', request: string(), reply: string(schema) })
  const { requester, replier } = await setUp()
  const asked = requester.request(slow, 'x')
  await until(() => decide.length === 1)
  await replier.answer(replier.requests[0]!, { value: Buffer.from('x') })
  await until(() => requester.stats().duplicate === 1)
  decide[0]!()
  assert.equal((await asked).value, 'x')
  assertAccounted(requester)
})

test('a schema, key or partition that throws, and a key or header of a wrong type, are errors that say what and where', async () => {
  const { requester, replier } = await setUp()
  const schema: StandardSchemaV1<string, string> = {
    '~standard': { version: 1, vendor: 'test', validate: throwing },
  }
  const base = { name: 'o', topic: 'requests', request: string(), reply: string() }
  const failing = [
    [defineOperation({ ...base, request: string(schema) }), 'MILENA_CODEC_FAILED'],
    [defineOperation({ ...base, key: throwing }), 'MILENA_OPTIONS_INVALID'],
    [defineOperation({ ...base, partition: throwing }), 'MILENA_OPTIONS_INVALID'],
    [defineOperation({ ...base, key: () => 42 as unknown as string }), 'MILENA_OPTIONS_INVALID'],
  ] as const
  for (const [operation, expected] of failing) {
    await assert.rejects(requester.request(operation, 'x'), (error: unknown) => {
      assert.match(
        String(error),
        /operation o: .*(a fault of the application|not 42|the schema of the request failed)/,
      )
      return code(expected, { sent: 'no' })(error)
    })
  }
  const headers = { traceparent: undefined } as unknown as Record<string, string>
  await assert.rejects(requester.request(defineOperation(base), 'x', { headers }), (error: unknown) => {
    assert.match(String(error), /"traceparent"/)
    return code('MILENA_OPTIONS_INVALID', { sent: 'no' })(error)
  })
  assert.equal(requester.stats().accepted, 0)
  assert.equal((await requester.request(defineOperation(base), 'fence')).value, 'fence')
  assert.equal(replier.requests.length, 1)
})

test('a signal that is aborted by the operation’s own key function sends nothing', async () => {
  const controller = new AbortController()
  const operation = defineOperation({
    name: 'k',
    topic: 'requests',
    request: string(),
    reply: string(),
    key: () => {
      controller.abort()
      return 'k'
    },
  })
  const { requester, replier } = await setUp()
  await requester.request(echo, Buffer.from('first'))
  await assert.rejects(
    requester.request(operation, 'x', { signal: controller.signal }),
    code('MILENA_CANCELLED', { sent: 'no' }),
  )
  await requester.request(echo, Buffer.from('fence'))
  assert.equal(replier.requests.length, 2)
})

test('value, key and headers are the caller’s again as soon as request() has returned', async () => {
  const sent: {
    key: Buffer | null
    value: Buffer | null
    headers: readonly (readonly [Buffer, Buffer | null])[]
  }[] = []
  const watch = (transport: Transport): Transport =>
    altered(transport, {
      send(record) {
        sent.push(record)
        return transport.send(record)
      },
    })
  const { requester } = await setUp(undefined, {}, watch)
  // The first one waits for its topic, the second does not.
  for (let n = 0; n < 2; n++) {
    const value = Buffer.from('value')
    const key = new Uint8Array([1, 2])
    const header = new Uint8Array([3])
    const asked = requester.request(echo, value, { key, headers: { header } })
    value.fill(0)
    key.fill(0)
    header.fill(0)
    await asked
    assert.equal(sent[n]!.value!.toString(), 'value')
    assert.deepEqual(sent[n]!.key, Buffer.from([1, 2]))
    assert.deepEqual(sent[n]!.headers[0]![1], Buffer.from([3]))
  }
})

test('headers of the library’s own names are not taken from the application', async () => {
  const { requester, replier } = await setUp(undefined, {
    replyRouting: sharedReplyTopic({ topic: 'replies' }),
  })
  // As a service does that hands on the headers of what it has received.
  const headers = {
    kafka_replyPartition: Buffer.from([0, 0, 0, 77]),
    kafka_replyTopic: 'elsewhere',
    'milena-error-code': 'X',
    own: 'yes',
  }
  await requester.request(echo, Buffer.from('x'), { headers })
  const names = replier.requests[0]!.headers.map(([name]) => name.toString())
  assert.deepEqual(names, [
    'own',
    'kafka_replyTopic',
    'kafka_correlationId',
    'milena-operation',
    'milena-instance',
    'milena-deadline',
    'milena-timeout',
  ])
})

test('diagnostics of duplicate and foreign replies have no payload either', async () => {
  const messages: unknown[] = []
  const listen = (message: unknown): void => void messages.push(message)
  const names = ['milena:reply:duplicate', 'milena:reply:foreign']
  for (const name of names) subscribe(name, listen)
  const { requester, replier, broker } = await setUp()
  await requester.request(echo, Buffer.from('mine'))
  await replier.answer(replier.requests[0]!, { value: Buffer.from('secret') })
  const stranger = broker.connect()
  opened.push(stranger)
  const key = Buffer.from('secret')
  await stranger.send({ topic: 'replies', partition: 2, key, value: key, headers: [] })
  await until(() => messages.length === 2)
  for (const name of names) unsubscribe(name, listen)
  for (const message of messages as { position: object }[])
    assert.deepEqual(Object.keys(message.position).toSorted(), ['offset', 'partition', 'topic'])
})

test('timeouts that are all different leave no timers behind', async () => {
  const { requester, clock } = await setUp()
  await requester.request(echo, Buffer.from('first'))
  for (let n = 0; n < 200; n++) await requester.request(echo, Buffer.from('x'), { timeout: 1_000_000 + n })
  assert.ok(clock.timers < 100, `${clock.timers} timers`)
})
