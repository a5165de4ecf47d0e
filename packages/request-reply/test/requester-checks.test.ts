/** Everything of the application's is read once, and checked, before a request is accepted. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineOperation } from '../src/contract/operation.ts'
import { string } from '../src/contract/payload.ts'
import type { RequestOptions } from '../src/requester/reply.ts'
import type { RequesterOptions } from '../src/requester/options.ts'
import { replyPartition } from '../src/routing/reply-partition.ts'
import { MessageHeaders } from '../src/wire/headers.ts'
import { altered, assertAccounted, code, echo, seenOn, setUp, StagedRouting, until } from './requesting.ts'

const value = Buffer.from('x')

/** Things that most code cannot even put into words. */
const hostile: readonly unknown[] = [Object.create(null), null, undefined, new Proxy(() => {}, {})]

test('options that cannot work are refused with what they are, and nothing is accepted', async () => {
  const { requester, replier } = await setUp()
  await requester.request(echo, value)
  const bad: readonly (readonly [unknown, RegExp])[] = [
    [{ signal: new AbortController() }, /signal must be an AbortSignal, not an AbortController: give its/],
    [{ signal: {} }, /signal must be an AbortSignal, not an object/],
    [{ signal: 'soon' }, /signal must be an AbortSignal, not a string/],
    [{ signal: null }, /signal must be an AbortSignal, not null/],
    [{ timeout: Number.NaN }, /timeout must be .* not NaN/],
    [{ timeout: '5' }, /timeout must be .* not a string/],
    [{ headers: 'a' }, /headers must be an object, such as .* not a string/],
    [{ headers: ['a', 'b'] }, /headers must be an object, such as .* not an object \(Array\)/],
    [{ headers: new Map([['a', 'b']]) }, /headers must be an object, such as .* not an object \(Map\)/],
    [{ partition: 1.5 }, /partition must be a whole number, not 1.5/],
    [{ key: 5 }, /key must be a string, bytes or null, not 5/],
    [{ timeuot: 5 }, /there is no option timeuot/],
    [5, /options must be an object, not a number/],
  ]
  for (const [options, message] of bad) {
    await assert.rejects(requester.request(echo, value, options as RequestOptions), (error: unknown) => {
      assert.match(String(error), message)
      return code('MILENA_OPTIONS_INVALID', { sent: 'no', effect: 'none' })(error)
    })
  }
  await assert.rejects(requester.request({} as typeof echo, value), code('MILENA_OPTIONS_INVALID'))
  await assert.rejects(
    requester.request(null as unknown as typeof echo, value),
    code('MILENA_OPTIONS_INVALID'),
  )
  assert.equal(requester.stats().accepted, 1)
  assert.equal(requester.stats().rejected, bad.length + 2)
  assert.equal(replier.requests.length, 1)
})

test('whatever an application throws while it is asked ends as an error of ours, and nothing is accepted', async () => {
  const { requester } = await setUp()
  await requester.request(echo, value)
  const base = { name: 'o', topic: 'requests', request: string(), reply: string() }
  for (const thrown of hostile) {
    const fail = (): never => {
      throw thrown
    }
    const codec = { codec: 'own', schema: undefined, encode: fail, decode: fail }
    const validate = fail
    const schema = { '~standard': { version: 1, vendor: 'test', validate } } as const
    const attempts: Promise<unknown>[] = [
      requester.request(defineOperation({ ...base, key: fail }), 'x'),
      requester.request(defineOperation({ ...base, partition: fail }), 'x'),
      requester.request(defineOperation({ ...base, request: codec }), 'x'),
      requester.request(defineOperation({ ...base, request: schema }), 'x'),
      requester.request(echo, value, {
        headers: Object.defineProperty({}, 'a', { get: fail, enumerable: true }),
      }),
      ...(['timeout', 'signal', 'headers', 'key', 'partition'] as const).map((name) =>
        requester.request(echo, value, Object.defineProperty({}, name, { get: fail, enumerable: true })),
      ),
    ]
    for (const attempt of attempts)
      await assert.rejects(attempt, (error: unknown) => {
        const { code: found } = error as { code: string }
        assert.ok(['MILENA_OPTIONS_INVALID', 'MILENA_CODEC_FAILED'].includes(found), found)
        return true
      })
  }
  assert.equal(requester.stats().accepted, 1)
})

test('each option is read once', async () => {
  const { requester } = await setUp()
  const reads: string[] = []
  const given: RequestOptions = { timeout: 100, key: 'k', partition: 0 }
  const options = new Proxy(given, {
    get(target, name) {
      reads.push(String(name))
      return target[name as keyof RequestOptions]
    },
  })
  await requester.request(echo, value, options)
  assert.deepEqual(reads.toSorted(), [
    'deadline',
    'headers',
    'idempotencyKey',
    'key',
    'partition',
    'replyTopic',
    'signal',
    'timeout',
  ])
})

test('a signal that lets nobody listen, or fires while one begins to, is an outcome, and nothing is sent', async () => {
  const { requester, replier, clock } = await setUp()
  await requester.request(echo, value)
  const signal = {
    aborted: false,
    removeEventListener() {},
    addEventListener() {
      throw new Error('nobody listens here')
    },
  } as unknown as AbortSignal
  await assert.rejects(requester.request(echo, value, { signal }), code('MILENA_OPTIONS_INVALID'))
  const eager = {
    aborted: false,
    reason: 'at once',
    removeEventListener() {
      throw new Error('nor does anybody leave')
    },
    addEventListener(this: { aborted: boolean }) {
      this.aborted = true
    },
  } as unknown as AbortSignal
  await assert.rejects(
    requester.request(echo, value, { signal: eager }),
    code('MILENA_CANCELLED', { sent: 'no' }),
  )
  assert.equal(requester.stats().accepted, 1)
  assert.equal(requester.stats().pending, 0)
  await clock.advance(10_000)
  assert.equal(replier.requests.length, 1)
})

test('a subscriber that aborts, or closes, when a request is accepted is told after it was sent', async () => {
  const controller = new AbortController()
  const accepted = seenOn('milena:request:accepted')
  const order: string[] = []
  accepted.push = (...messages) => {
    order.push('accepted')
    if (order.length > 2) controller.abort()
    return messages.length
  }
  const { requester } = await setUp(
    () => undefined,
    {},
    (transport) =>
      altered(transport, {
        send(record) {
          if (record.topic === 'requests') order.push('sent')
          return transport.send(record)
        },
      }),
  )
  const first = requester.request(echo, value).catch(() => {})
  await until(() => order.length === 2)
  const asked = requester.request(echo, value, { signal: controller.signal })
  assert.deepEqual(order, ['sent', 'accepted', 'sent', 'accepted'])
  // It was given to the transport, which had not put it on the wire.
  await assert.rejects(asked, code('MILENA_CANCELLED', { sent: 'no', retryable: true }))
  await requester.close()
  await first
  assertAccounted(requester)
})

test('the headers of a requester go with each request; what its function throws refuses the request', async () => {
  let outgoing: unknown
  const { requester, replier } = await setUp(undefined, {
    headers(request) {
      outgoing = request
      if (request.key === null) throw null
      return { tenant: 'a', 'milena-error-code': 'X', kafka_replyTopic: 'elsewhere' }
    },
  })
  const reply = await requester.request(echo, value, { key: 'k', headers: { own: '1' } })
  assert.deepEqual(outgoing, {
    operation: 'echo',
    topic: 'requests',
    request: value,
    key: Buffer.from('k'),
    headers: new MessageHeaders([[Buffer.from('own'), Buffer.from('1')]]),
    correlationId: reply.correlationId,
  })
  const names = replier.requests[0]!.headers.map(([name]) => name.toString())
  assert.deepEqual(names.slice(0, 3), ['own', 'tenant', 'kafka_replyTopic'])
  assert.ok(!names.includes('milena-error-code'))
  await assert.rejects(requester.request(echo, value), code('MILENA_OPTIONS_INVALID', { sent: 'no' }))
  assert.equal(requester.stats().accepted, 1)
})

test('an operation whose topic is the reply topic is refused, and names both', async () => {
  const { requester } = await setUp()
  const itself = defineOperation({ name: 'self', topic: 'replies', request: string(), reply: string() })
  for (const attempt of [requester.request(itself, 'x'), requester.prepare(itself, 'x')])
    await assert.rejects(attempt, (error: unknown) => {
      assert.match(String(error), /self: its topic replies is also .* reply topic \(replies\)/)
      return code('MILENA_OPTIONS_INVALID')(error)
    })
})

test('a record in the request’s own topic is not its reply', async () => {
  const replyRouting = new StagedRouting()
  const { requester, replier } = await setUp(() => undefined, { replyRouting })
  const asked = requester.request(echo, value)
  await until(() => replier.requests.length === 1)
  replyRouting.context!.receive([replier.requests[0]!])
  assert.equal(requester.stats().foreign, 1)
  await replier.answer(replier.requests[0]!, { value: Buffer.from('reply') })
  assert.equal((await asked).value.toString(), 'reply')
})

test('options of a requester that cannot work are listed with what they are', async () => {
  const { createRequester } = await import('../src/requester/requester.ts')
  const options = {
    replyRouting: replyPartition({ topic: 'replies' }),
    instanceId: Object.create(null) as unknown,
    timeout: Symbol('soon'),
    maxReplyBytes: -1,
    whileNotReceiving: 'hope',
    resumeFrom: 5,
    headers: {},
    drainTimeout: Number.NaN,
  } as unknown as RequesterOptions
  await assert.rejects(createRequester(options), (error: unknown) => {
    for (const name of [
      'instanceId',
      'timeout',
      'maxReplyBytes',
      'whileNotReceiving',
      'resumeFrom',
      'headers',
      'drainTimeout',
    ])
      assert.match(String(error), new RegExp(name))
    return code('MILENA_OPTIONS_INVALID')(error)
  })
})
