/** The stages of a request, each by itself. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { defineOperation } from '../src/contract/operation.ts'
import { string } from '../src/contract/payload.ts'
import { MilenaError, RemoteError } from '../src/errors.ts'
import type { Reply } from '../src/requester/reply.ts'
import { errorHeaders } from '../src/wire/milena.ts'
import { springProfile } from '../src/wire/spring.ts'
import { altered, assertAccounted, code, echo, setUp, StagedRouting, until } from './requesting.ts'

const routed = (): { replyRouting: StagedRouting } => ({ replyRouting: new StagedRouting() })

test('prepare checks and encodes, and accepts nothing; register accepts; dispatch sends', async () => {
  const { requester, replier } = await setUp(undefined, routed())
  const prepared = await requester.prepare(echo, Buffer.from('value'), { key: 'k', headers: { h: '1' } })
  assert.deepEqual(
    [prepared.operation, prepared.topic, String(prepared.key), String(prepared.value), prepared.timeout],
    ['echo', 'requests', 'k', 'value', 5_000],
  )
  assert.equal(requester.stats().accepted, 0)
  const pending = requester.register(prepared)
  assert.equal(requester.stats().pending, 1)
  assert.equal(pending.correlationId.length, 16)
  assert.deepEqual(springProfile.readCorrelation(pending.record.headers), pending.correlationId)
  assert.equal(replier.requests.length, 0)
  const position = await pending.dispatch()
  assert.equal(position.topic, 'requests')
  const reply = await pending.reply
  assert.equal(reply.value.toString(), 'value')
  assert.deepEqual(reply.request, position)
  assertAccounted(requester)
})

test('what is not prepared, or was registered, is refused, and so are ids that are none or taken', async () => {
  const { requester } = await setUp(() => undefined, routed())
  const prepared = await requester.prepare(echo, Buffer.from('x'))
  const refused = code('MILENA_OPTIONS_INVALID')
  assert.throws(() => requester.register({ ...prepared }), refused)
  const correlationId = randomBytes(16)
  for (const bad of [randomBytes(15), 'x'.repeat(16) as unknown as Buffer])
    assert.throws(() => requester.register(prepared, { correlationId: bad }), refused)
  const pending = requester.register(prepared, { correlationId })
  assert.deepEqual(pending.correlationId, correlationId)
  assert.throws(() => requester.register(prepared), refused)
  const second = await requester.prepare(echo, Buffer.from('x'))
  assert.throws(() => requester.register(second, { correlationId }), /correlation id/)
  assert.equal(pending.settle(new Error('enough')), true)
  await assert.rejects(pending.reply, /enough/)
  assert.equal(requester.stats().pending, 0)
  assertAccounted(requester)
})

test('a request is sent again under the same correlation id, and gets one outcome', async () => {
  const { requester, replier } = await setUp(() => undefined, routed())
  const pending = requester.register(await requester.prepare(echo, Buffer.from('x')))
  const first = await pending.dispatch()
  const second = await pending.dispatch()
  assert.notDeepEqual(first, second)
  await until(() => replier.requests.length === 2)
  for (const request of replier.requests)
    assert.deepEqual(springProfile.readCorrelation(request.headers), pending.correlationId)
  for (const request of replier.requests) await replier.answer(request, { value: Buffer.from('y') })
  assert.equal((await pending.reply).value.toString(), 'y')
  await until(() => requester.stats().duplicate === 1)
  await assert.rejects(pending.dispatch(), code('MILENA_NOT_SENT', { retryable: false }))
})

test('a dispatch that fails does not end the request: its caller may send it again', async () => {
  const { requester, broker, clock } = await setUp(undefined, routed())
  await requester.request(echo, Buffer.from('first'))
  const pending = requester.register(await requester.prepare(echo, Buffer.from('x')))
  broker.faults = { send: () => ({ fate: 'not-sent' }) }
  await assert.rejects(pending.dispatch(), code('MILENA_NOT_SENT', { sent: 'no' }))
  assert.equal(requester.stats().pending, 1)
  broker.faults = {}
  await pending.dispatch()
  assert.equal((await pending.reply).value.toString(), 'x')
  // Never sent at all: then its deadline says so, unless somebody else may have sent it under this id.
  const unsent = requester.register(await requester.prepare(echo, Buffer.from('x')))
  const resumed = requester.register(await requester.prepare(echo, Buffer.from('x')), {
    correlationId: randomBytes(16),
  })
  await clock.advance(5_000)
  await assert.rejects(unsent.reply, code('MILENA_NOT_SENT', { sent: 'no', effect: 'none', retryable: true }))
  await assert.rejects(resumed.reply, code('MILENA_TIMEOUT', { sent: 'unknown', effect: 'unknown' }))
})

test('onReply takes several replies for one request, errors too, and says when it has enough', async () => {
  const { requester, replier } = await setUp(() => undefined, routed())
  const seen: string[] = []
  const onReply = (outcome: Reply<Buffer> | MilenaError): 'done' | 'more' => {
    seen.push(outcome instanceof RemoteError ? outcome.remoteCode : String((outcome as Reply<Buffer>).value))
    return seen.length < 3 ? 'more' : 'done'
  }
  const pending = requester.register(await requester.prepare(echo, Buffer.from('x')), { onReply })
  await pending.dispatch()
  await until(() => replier.requests.length === 1)
  const [request] = replier.requests
  await replier.answer(request!, { value: Buffer.from('1') })
  await replier.answer(request!, { value: null, headers: errorHeaders({ code: 'NO', message: 'no' }) })
  await until(() => seen.length === 2)
  assert.equal(requester.stats().pending, 1)
  await replier.answer(request!, { value: Buffer.from('3') })
  assert.equal((await pending.reply).value.toString(), '3')
  assert.deepEqual(seen, ['1', 'NO', '3'])
  assertAccounted(requester)
})

test('replies that are read asynchronously come to onReply in the order in which they came', async () => {
  const decide: (() => void)[] = []
  const slow = defineOperation({
    name: 'slow',
    topic: 'requests',
    request: string(),
    reply: {
      codec: 'slow',
      schema: undefined,
      encode: (value: string) => Buffer.from(value),
      decode: (bytes: Buffer | null): Promise<string> =>
        new Promise((resolve) => decide.push(() => resolve(String(bytes)))),
    },
  })
  const { requester, replier } = await setUp(() => undefined, routed())
  const seen: string[] = []
  const pending = requester.register(await requester.prepare(slow, 'x'), {
    onReply(outcome) {
      seen.push((outcome as Reply<string>).value)
      return seen.length < 2 ? 'more' : 'done'
    },
  })
  await pending.dispatch()
  await until(() => replier.requests.length === 1)
  for (const value of ['1', '2']) await replier.answer(replier.requests[0]!, { value: Buffer.from(value) })
  await until(() => decide.length === 2)
  decide[1]!()
  decide[0]!()
  assert.equal((await pending.reply).value, '2')
  assert.deepEqual(seen, ['1', '2'])
})

test('an onReply that throws is a warning, and what it threw at is the outcome', async () => {
  const { requester, replier } = await setUp(() => undefined, routed())
  const pending = requester.register(await requester.prepare(echo, Buffer.from('x')), {
    onReply() {
      throw Object.create(null) as Error
    },
  })
  await pending.dispatch()
  await until(() => replier.requests.length === 1)
  await replier.answer(replier.requests[0]!, { value: Buffer.from('y') })
  assert.equal((await pending.reply).value.toString(), 'y')
})

test('where a reply can appear is kept with the request, and handed to the routing by resumeFrom', async () => {
  const replyRouting = new StagedRouting()
  replyRouting.positions = [{ topic: 'replies', partition: 2, offset: 7 }]
  const { requester } = await setUp(() => undefined, { replyRouting, resumeFrom: replyRouting.positions })
  assert.deepEqual(replyRouting.context!.resumeFrom, replyRouting.positions)
  const pending = requester.register(await requester.prepare(echo, Buffer.from('x')))
  assert.deepEqual(pending.repliesFrom, replyRouting.positions)
  pending.settle(new Error('enough'))
})

test('a stage that fails leaves nothing pending and no rejection unhandled', async () => {
  const { requester } = await setUp(
    undefined,
    { ...routed(), headers: () => ({ tenant: 'a' }) },
    (transport) =>
      altered(transport, {
        send() {
          throw new TypeError('not a promise')
        },
      }),
  )
  await assert.rejects(requester.prepare(echo, 'x' as unknown as Buffer), code('MILENA_CODEC_FAILED'))
  const pending = requester.register(await requester.prepare(echo, Buffer.from('x')))
  assert.equal(pending.record.headers[0]![0].toString(), 'tenant')
  void pending.dispatch()
  await requester.close({ timeout: 0 })
  await assert.rejects(pending.reply, code('MILENA_ABANDONED', { sent: 'unknown' }))
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(requester.stats().sending, 0)
})
