/** What applications, schemas and brokers can do to a requester at the wrong moment. */
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { test } from 'node:test'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { defineOperation } from '../src/contract/operation.ts'
import { string } from '../src/contract/payload.ts'
import { createRequester } from '../src/requester/requester.ts'
import type { OpenReplyRouting } from '../src/routing/routing.ts'
import { sharedReplyTopic } from '../src/routing/shared-reply-topic.ts'
import { createMemoryBroker } from '../src/transport/memory/broker.ts'
import type { Transport } from '../src/transport/transport.ts'
import { MessageHeaders } from '../src/wire/headers.ts'
import { ManualClock } from './manual-clock.ts'
import { altered, assertAccounted, code, echo, opened, seenOn, setUp, until } from './requesting.ts'

/** Of a routing that never gives back its reply address. */
const openHung = async (): Promise<OpenReplyRouting> => ({
  address: () => ({ topic: 'replies' }),
  close: () => new Promise(() => {}),
})

const hung = (transport: Transport): Transport =>
  altered(transport, {
    describeTopics: (names) =>
      names?.includes('requests') ? new Promise(() => {}) : transport.describeTopics(names),
  })

const throwing = (): never => {
  throw new Error('a fault of the application')
}

const openNever = (): Promise<never> => Promise.reject(new Error('no reply topic today'))

/** A schema that decides when it is told to. */
function slowSchema(): { schema: StandardSchemaV1<string, string>; decide: (() => void)[] } {
  const decide: (() => void)[] = []
  const validate = (value: unknown): Promise<StandardSchemaV1.Result<string>> =>
    new Promise((resolve) => decide.push(() => resolve({ value: String(value) })))
  return { schema: { '~standard': { version: 1, vendor: 'test', validate } }, decide }
}

test('a request whose topic nobody describes ends in its timeout, not sent', async () => {
  const { requester, clock } = await setUp(undefined, {}, hung)
  const outcome = assert.rejects(
    requester.request(echo, Buffer.from('x'), { timeout: 100 }),
    code('MILENA_NOT_SENT', { sent: 'no', outcomeKnown: true, retryable: true }),
  )
  await clock.advance(100)
  await outcome

  const controller = new AbortController()
  const cancelled = assert.rejects(
    requester.request(echo, Buffer.from('x'), { signal: controller.signal }),
    code('MILENA_CANCELLED', { sent: 'no', outcomeKnown: true }),
  )
  controller.abort()
  await cancelled

  const closed = assert.rejects(
    requester.request(echo, Buffer.from('x')),
    code('MILENA_CLOSED', { sent: 'no' }),
  )
  await requester.close()
  await closed
  assert.equal(clock.timers, 0)
})

test('requests that wait for their topic count as pending', async () => {
  const { requester } = await setUp(undefined, { maxPending: 2 }, hung)
  const first = Promise.allSettled([
    requester.request(echo, Buffer.from('1')),
    requester.request(echo, Buffer.from('2')),
  ])
  await assert.rejects(requester.request(echo, Buffer.from('3')), code('MILENA_OVERLOADED', { sent: 'no' }))
  await requester.close()
  for (const one of await first) assert.equal(one.status, 'rejected')
})

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

test('close waits for what was asked before it, also while its topic is being looked up', async () => {
  const lookUp = Promise.withResolvers<void>()
  const { requester } = await setUp(undefined, { drainTimeout: 1_000 }, (transport) =>
    altered(transport, {
      async describeTopics(names) {
        if (names?.includes('requests')) await lookUp.promise
        return transport.describeTopics(names)
      },
    }),
  )
  const asked = requester.request(echo, Buffer.from('x'))
  const closing = requester.close()
  lookUp.resolve()
  assert.equal((await asked).value.toString(), 'x')
  await closing
})

test('close waits for an asynchronous reply schema', async () => {
  const { schema, decide } = slowSchema()
  const slow = defineOperation({ name: 's', topic: 'requests', request: string(), reply: string(schema) })
  const { requester, clock } = await setUp(undefined, { drainTimeout: 1000 })
  const asked = requester.request(slow, 'x')
  await until(() => decide.length === 1)
  let closed = false
  const closing = requester.close().then(() => (closed = true))
  await clock.advance(500)
  assert.equal(closed, false)
  decide[0]!()
  assert.equal((await asked).value, 'x')
  await closing
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

test('maxPendingBytes counts headers; what is larger by itself is too large, and not to be tried again', async () => {
  const { requester, replier } = await setUp(() => undefined, { maxPendingBytes: 1000 })
  const headers = { big: 'x'.repeat(500) }
  const first = requester.request(echo, Buffer.alloc(1), { headers })
  await until(() => replier.requests.length === 1)
  await assert.rejects(
    requester.request(echo, Buffer.alloc(1), { headers }),
    code('MILENA_OVERLOADED', { retryable: true }),
  )
  await replier.answer(replier.requests[0]!, { value: null })
  await first
  await assert.rejects(
    requester.request(echo, Buffer.alloc(1), { headers: { big: 'x'.repeat(1000) } }),
    code('MILENA_RECORD_TOO_LARGE', { retryable: false, sent: 'no', effect: 'none' }),
  )
})

test('requests that are remembered for their late replies take no more than maxPendingBytes', async () => {
  const { requester, replier, clock, late } = await setUp(() => undefined, { maxPendingBytes: 1500 })
  for (let n = 0; n < 3; n++) {
    const outcome = assert.rejects(
      requester.request(echo, Buffer.alloc(400, n), { timeout: 10 }),
      code('MILENA_TIMEOUT'),
    )
    await until(() => replier.requests.length === n + 1)
    await clock.advance(10)
    await outcome
  }
  for (const request of replier.requests) await replier.answer(request, { value: Buffer.from('late') })
  await until(() => late.length === 2)
  assert.deepEqual(
    late.map((one) => (one.request as Buffer)[0]),
    [1, 2],
  )
  assert.equal(requester.stats().foreign, 1)
})

test('an onLateReply that rejects is a warning and nothing else', async () => {
  const warnings: { context: string; error: Error }[] = []
  const listen = (message: unknown): void => void warnings.push(message as never)
  subscribe('milena:warning', listen)
  const { requester, replier, clock } = await setUp(() => undefined, {
    onLateReply: async () => {
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
  unsubscribe('milena:warning', listen)
  assert.match(warnings[0]!.error.message, /a fault of the application/)
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

test('a request topic that has grown is seen; one that was made anew is asked about again', async () => {
  const { requester, replier, clock, broker } = await setUp()
  const last = defineOperation({
    name: 'last',
    topic: 'requests',
    request: string(),
    reply: string(),
    partition: (_, partitions) => partitions - 1,
  })
  await requester.request(last, 'x')
  const admin = broker.connect()
  opened.push(admin)
  broker.addPartitions('requests', 5)
  await clock.advance(61_000)
  await requester.request(last, 'asks again, meanwhile as before')
  await until(() => replier.requests.length === 2)
  await clock.advance(1)
  await requester.request(last, 'x')
  assert.deepEqual(
    replier.requests.map(({ partition }) => partition),
    [2, 2, 4],
  )
  await admin.deleteTopics(['requests'])
  await admin.createTopics([{ name: 'requests', partitions: 2 }])
  await assert.rejects(requester.request(last, 'x'), code('MILENA_PARTITION_MISSING', { sent: 'no' }))
  await requester.request(last, 'x')
  assert.equal(replier.requests.at(-1)!.partition, 1)
})

test('a partition that was just added is asked about, not refused for a minute', async () => {
  const { requester, replier, broker } = await setUp()
  const operation = defineOperation({
    name: 'fourth',
    topic: 'requests',
    request: string(),
    reply: string(),
    partition: () => 3,
  })
  await assert.rejects(requester.request(operation, 'x'), code('MILENA_PARTITION_MISSING', { sent: 'no' }))
  broker.addPartitions('requests', 4)
  await requester.request(operation, 'x')
  assert.equal(replier.requests.at(-1)!.partition, 3)
})

test('timeouts that are all different leave no timers behind', async () => {
  const { requester, clock } = await setUp()
  await requester.request(echo, Buffer.from('first'))
  for (let n = 0; n < 200; n++) await requester.request(echo, Buffer.from('x'), { timeout: 1_000_000 + n })
  assert.ok(clock.timers < 100, `${clock.timers} timers`)
})

test('close takes a bound of any size, none at all, and refuses what is no bound', async () => {
  for (const timeout of [Infinity, Number.MAX_SAFE_INTEGER]) {
    const { requester, replier, clock } = await setUp(() => undefined)
    const asked = requester.request(echo, Buffer.from('x'))
    await until(() => replier.requests.length === 1)
    const closing = requester.close({ timeout })
    await clock.advance(100)
    await replier.answer(replier.requests[0]!, { value: Buffer.from('in time') })
    assert.equal((await asked).value.toString(), 'in time')
    await closing
  }
  const { requester } = await setUp()
  for (const timeout of [Number.NaN, -1, '5' as unknown as number, null as unknown as number])
    await assert.rejects(requester.close({ timeout }), code('MILENA_OPTIONS_INVALID'))
  assert.equal((await requester.request(echo, Buffer.from('still open'))).value.toString(), 'still open')
})

test('what is still being prepared when the bound of close is over is refused, and never sent', async () => {
  for (const how of ['request', 'send'] as const) {
    const { requester, replier } = await setUp(() => undefined)
    const checked = Promise.withResolvers<void>()
    const slow = defineOperation({
      name: 'slow',
      topic: 'requests',
      request: {
        '~standard': {
          version: 1,
          vendor: 'test',
          validate: async (value: unknown) => {
            await checked.promise
            return { value: value as string }
          },
        },
      },
      reply: string(),
    })
    const refused = assert.rejects(requester[how](slow, 'x'), code('MILENA_CLOSED'))
    const closed = requester.close({ timeout: 0 })
    checked.resolve()
    await closed
    await refused
    await new Promise(setImmediate)
    assert.equal(replier.requests.length, 0)
  }
})

test('close ends although the routing cannot give back its reply address, and the reason is told', async () => {
  const warnings: { context: string; error: Error }[] = []
  const listen = (message: unknown): void => void warnings.push(message as never)
  subscribe('milena:warning', listen)
  const broker = createMemoryBroker()
  const transport = broker.connect()
  opened.push(transport)
  const clock = new ManualClock()
  const requester = await createRequester({
    transport,
    clock,
    replyRouting: { name: 'hung', open: openHung },
  })
  const closing = requester.close()
  await clock.advance(5_000)
  await closing
  unsubscribe('milena:warning', listen)
  assert.match(warnings[0]!.error.message, /reply address/)
  assert.equal(clock.timers, 0)
  assert.equal(requester.stats().pending, 0)
})

test('a routing that does not open is told as the reason, whatever closing says', async () => {
  const broker = createMemoryBroker()
  const transport = broker.connect()
  opened.push(transport)
  await assert.rejects(
    createRequester({ transport, replyRouting: { name: 'broken', open: openNever } }),
    /no reply topic today/,
  )
})
