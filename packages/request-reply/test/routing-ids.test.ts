/** What a routing may have to do with correlation ids: with what they begin, and which of them are pending. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedReplyTopic } from '../src/routing/shared-reply-topic.ts'
import type { OpenReplyRouting, ReplyRouting, RoutingContext } from '../src/routing/routing.ts'
import { createMemoryBroker } from '../src/transport/memory/broker.ts'
import { createRequester } from '../src/requester/requester.ts'
import { echo, opened, setUp, until } from './requesting.ts'

/** `sharedReplyTopic` with ids that begin so. */
function prefixed(prefix: Buffer, seen: { context?: RoutingContext } = {}): ReplyRouting {
  return {
    name: 'prefixed',
    async open(context): Promise<OpenReplyRouting> {
      seen.context = context
      const routing = await sharedReplyTopic({ topic: 'replies' }).open(context)
      return { ...routing, correlationPrefix: prefix }
    },
  }
}

test('correlation ids begin with what the routing says, and what is left of them is random', async () => {
  const { requester, replier } = await setUp(undefined, { replyRouting: prefixed(Buffer.from('abcd')) })
  for (let n = 0; n < 3; n++) await requester.request(echo, Buffer.from('x'))
  const ids = replier.requests.map(
    ({ headers }) => headers.find(([name]) => String(name) === 'kafka_correlationId')![1]!,
  )
  for (const id of ids) {
    assert.equal(id.length, 16)
    assert.equal(id.toString('latin1', 0, 4), 'abcd')
  }
  assert.equal(new Set(ids.map((id) => id.toString('hex'))).size, 3)
})

test('a prefix that leaves too little to chance is refused', async () => {
  const broker = createMemoryBroker({ topics: [{ name: 'replies', partitions: 1 }] })
  const transport = broker.connect()
  opened.push(transport)
  const replyRouting = prefixed(Buffer.alloc(9))
  await assert.rejects(createRequester({ transport, replyRouting }), {
    code: 'MILENA_OPTIONS_INVALID',
    message: /correlationPrefix may have 8 bytes, not 9/,
  })
})

test('a routing can ask which requests are pending: from their acceptance to their outcome, the oldest first', async () => {
  const seen: { context?: RoutingContext } = {}
  const { requester, replier } = await setUp(() => undefined, {
    replyRouting: prefixed(Buffer.alloc(0), seen),
  })
  const pending = (): string[] => [...seen.context!.pending()].map((id) => id.toString('hex'))
  assert.deepEqual(pending(), [])
  const first = requester.request(echo, Buffer.from('1'))
  const second = requester.request(echo, Buffer.from('2'))
  await until(() => replier.requests.length === 2)
  const idOf = (value: string): string => {
    const request = replier.requests.find((one) => String(one.value) === value)!
    return request.headers.find(([name]) => String(name) === 'kafka_correlationId')![1]!.toString('hex')
  }
  assert.deepEqual(pending(), [idOf('1'), idOf('2')])
  await replier.answer(
    replier.requests.find((one) => String(one.value) === '1')!,
    { value: null },
  )
  await first
  assert.deepEqual(pending(), [idOf('2')])
  await replier.answer(
    replier.requests.find((one) => String(one.value) === '2')!,
    { value: null },
  )
  await second
  assert.deepEqual(pending(), [])
})
