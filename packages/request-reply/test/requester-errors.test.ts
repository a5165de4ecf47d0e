/** What the errors of a requester say of their request, and how. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { defineOperation } from '../src/contract/operation.ts'
import { json, string } from '../src/contract/payload.ts'
import { isMilenaError } from '../src/error-types.ts'
import { MilenaError, RemoteError, remoteCodes, TransportError, ValidationError } from '../src/errors.ts'
import { errorHeaders } from '../src/wire/milena.ts'
import { altered, assertAccounted, code, echo, setUp, until } from './requesting.ts'

const value = Buffer.from('x')

async function stackOf(asked: Promise<unknown>): Promise<string> {
  try {
    await asked
  } catch (error) {
    return String((error as Error).stack)
  }
  return 'no error'
}

function throws(thrown: unknown): () => never {
  return () => {
    throw thrown
  }
}

test('each error of an accepted request says which request it is about', async () => {
  const strict = defineOperation({ name: 'strict', topic: 'requests', request: string(), reply: json() })
  const { requester, replier, clock, late, broker } = await setUp(() => undefined)
  const errors: MilenaError[] = []
  const ask = (options: object = {}): Promise<unknown> =>
    requester.request(strict, 'x', { key: 'k', ...options }).catch((error: MilenaError) => errors.push(error))
  const answered = async (answer: Parameters<typeof replier.answer>[1]): Promise<void> => {
    const before = replier.requests.length
    const asked = ask()
    await until(() => replier.requests.length > before)
    await until(() => requester.stats().sending === 0)
    await replier.answer(replier.requests.at(-1)!, answer)
    await asked
  }
  await answered({ value: null, headers: errorHeaders({ code: 'NO', message: 'no' }) })
  await answered({ value: Buffer.from('{') })
  const controller = new AbortController()
  const pending = [ask({ signal: controller.signal }), ask({ timeout: 50 }), ask()]
  await until(() => replier.requests.length === 5)
  controller.abort()
  await clock.advance(50)
  const timedOut = replier.requests.at(-2)!
  await replier.answer(timedOut, { value: null, headers: errorHeaders({ code: 'LATE', message: 'no' }) })
  await until(() => late.length === 1)
  broker.faults = { send: () => ({ fate: 'not-sent' }) }
  await ask()
  await requester.close()
  await Promise.all(pending)
  assert.deepEqual(
    errors.map((error) => error.code),
    [
      'MILENA_REMOTE_ERROR',
      'MILENA_CODEC_FAILED',
      'MILENA_CANCELLED',
      'MILENA_TIMEOUT',
      'MILENA_NOT_SENT',
      'MILENA_ABANDONED',
    ],
  )
  for (const error of [...errors, late[0]!.error!]) {
    const { operation, correlationId, topic, key, position } = error.request!
    assert.deepEqual([operation, topic, String(key)], ['strict', 'requests', 'k'])
    assert.match(correlationId, /^[0-9a-f]{32}$/)
    assert.equal(position === undefined, error.code === 'MILENA_NOT_SENT', error.code)
  }
  const { position } = errors[0]!.request!
  const [first] = replier.requests
  assert.deepEqual(position, { topic: 'requests', partition: first!.partition, offset: first!.offset })
  assertAccounted(requester)
})

test('a transport’s error that several requests are given becomes one of each', async () => {
  const shared = new TransportError('MILENA_BROKER_ERROR', 'refused', { retryable: true })
  const { requester } = await setUp(undefined, {}, (transport) =>
    altered(transport, { send: () => Promise.reject(shared) }),
  )
  const errors = await Promise.all(
    [1, 2].map(() => requester.request(echo, value).catch((error: TransportError) => error)),
  )
  for (const error of errors) {
    assert.ok(error instanceof TransportError)
    assert.equal(error.cause, shared)
    assert.equal(error.retryable, true)
  }
  assert.equal(shared.request, undefined)
  assert.notEqual((errors[0] as MilenaError).request, (errors[1] as MilenaError).request)
})

test('an error names the functions that were waiting for the request', async () => {
  const { requester, replier, clock, broker } = await setUp(() => undefined)
  async function innermostCaller(): Promise<void> {
    await requester.request(echo, value, { timeout: 50 })
  }
  async function outerCaller(): Promise<void> {
    await innermostCaller()
  }
  // The first waits for its topic, the second does not; then one that was not sent, and one that was refused over there.
  const stacks: string[] = []
  for (let n = 0; n < 2; n++) {
    const asked = stackOf(outerCaller())
    await until(() => replier.requests.length === n + 1)
    await clock.advance(50)
    stacks.push(await asked)
  }
  const refused = stackOf(outerCaller())
  await until(() => replier.requests.length === 3)
  await replier.answer(replier.requests[2]!, {
    value: null,
    headers: errorHeaders({ code: 'NO', message: 'no' }),
  })
  stacks.push(await refused)
  broker.faults = { send: () => ({ fate: 'not-sent' }) }
  stacks.push(await stackOf(outerCaller()))
  for (const stack of stacks) {
    assert.match(stack, /^(Timeout|Remote|Transport)Error: operation echo/)
    assert.match(stack, /at async innermostCaller .*\n.*at async outerCaller/)
  }
  // One that comes by the ten thousand a second has no stack at all.
  broker.faults = {}
  const full = await setUp(() => undefined, { maxPending: 1 })
  const first = full.requester.request(echo, value).catch(() => {})
  const overloaded = await full.requester.request(echo, value).catch((error: Error) => error)
  assert.ok(!String((overloaded as Error).stack).includes('\n    at '))
  await full.requester.close()
  await first
})

test('a remote error says what its replier knows, and nothing that only the code suggests', async () => {
  const known = { sent: 'yes', outcomeKnown: true } as const
  const open = { sent: 'yes', outcomeKnown: false, effect: 'unknown', retryable: false } as const
  const cases = [
    [
      { code: 'DECLINED', message: '', effect: 'none', retryable: true },
      { ...known, effect: 'none', retryable: true },
    ],
    [
      { code: 'DONE_BEFORE', message: '', effect: 'done' },
      { ...known, effect: 'done', retryable: false },
    ],
    [{ code: 'SOMETHING', message: '' }, open],
    [{ code: remoteCodes.deadlineExceeded, message: '', effect: 'none' }, open],
    [{ code: remoteCodes.handlerFailed, message: '' }, open],
    [
      { code: remoteCodes.replyInvalid, message: '' },
      { ...open, effect: 'done' },
    ],
  ] as const
  for (const [error, facts] of cases) {
    const { requester } = await setUp(() => ({ value: null, headers: errorHeaders(error) }))
    await assert.rejects(requester.request(echo, value), code('MILENA_REMOTE_ERROR', facts))
  }
})

test('a remote message can forge no line of a log', async () => {
  const message = `first\nsecond\u001b[31m ${'x'.repeat(1_900)}`
  const { requester } = await setUp(() => ({ value: null, headers: errorHeaders({ code: 'A\nB', message }) }))
  await assert.rejects(requester.request(echo, value), (error: unknown) => {
    assert.ok(error instanceof RemoteError)
    assert.equal(error.remoteMessage, message)
    assert.equal(error.remoteCode, 'A\nB')
    // oxlint-disable-next-line no-control-regex -- they must not be there
    assert.doesNotMatch(error.message, /[\u0000-\u001f]/)
    assert.ok(error.message.length < 800)
    return true
  })
})

test('a reply that cannot be read is done with an open outcome, and nothing of it is said', async () => {
  const secret = 'card 4111111111111111'
  const failing: readonly Pick<StandardSchemaV1<string, string>['~standard'], 'validate'>[] = [
    { validate: throws(Object.create(null)) },
    { validate: throws(new Error(secret)) },
    { validate: () => Promise.reject(null) },
  ]
  const replies = [
    json(),
    ...failing.map(({ validate }) => string({ '~standard': { version: 1, vendor: 'test', validate } })),
    ...[null, undefined, new Error(secret), Object.create(null)].map((thrown) => ({
      codec: 'own',
      schema: undefined,
      encode: (text: string) => Buffer.from(text),
      decode: throws(thrown),
    })),
    {
      codec: 'own',
      schema: undefined,
      encode: (text: string) => Buffer.from(text),
      decode: () => Promise.reject(new Error(secret)),
    },
  ]
  const { requester } = await setUp(() => ({ value: Buffer.from(`{"${secret}`) }))
  for (const reply of replies) {
    const operation = defineOperation({
      name: 'r',
      topic: 'requests',
      request: string(),
      reply: reply as never,
    })
    await assert.rejects(requester.request(operation, 'x'), (error: unknown) => {
      assert.ok(!String(error).includes('4111'), String(error))
      const facts = { sent: 'yes', effect: 'done', outcomeKnown: false, retryable: false } as const
      return code('MILENA_CODEC_FAILED', facts)(error)
    })
  }
  assert.equal(requester.stats().failed, replies.length)
})

test('a reply that is too large is not parsed', async () => {
  let parsed = 0
  const operation = defineOperation({
    name: 'large',
    topic: 'requests',
    request: string(),
    reply: {
      codec: 'own',
      schema: undefined,
      encode: (text: string) => Buffer.from(text),
      decode: (bytes: Buffer | null) => (parsed++, String(bytes)),
    },
  })
  const { requester, replier } = await setUp(() => undefined, { maxReplyBytes: 100 })
  const answeredWith = async (bytes: number): Promise<unknown> => {
    const before = replier.requests.length
    const asked = requester.request(operation, 'x').catch((error: unknown) => error)
    await until(() => replier.requests.length > before)
    await replier.answer(replier.requests.at(-1)!, { value: Buffer.alloc(bytes, 'y') })
    return asked
  }
  assert.ok(!((await answeredWith(100)) instanceof Error))
  const error = await answeredWith(101)
  assert.ok(error instanceof ValidationError)
  assert.match(error.message, /it has 101 bytes, and what has more than 100 \(maxReplyBytes\) is not parsed/)
  code('MILENA_REPLY_INVALID', { sent: 'yes', effect: 'done', outcomeKnown: false })(error)
  assert.equal(parsed, 1)
})

test('isMilenaError tells errors apart by their code', () => {
  const error: unknown = new RemoteError('o', 'DECLINED', 'no')
  assert.ok(isMilenaError(error) && error.code === 'MILENA_REMOTE_ERROR' && error.remoteCode === 'DECLINED')
  assert.ok(!isMilenaError(new Error('other')) && !isMilenaError(null))
})
