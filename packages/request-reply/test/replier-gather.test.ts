/** A replier names its group in its reply where several groups are to answer, and nowhere else. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineOperation } from '../src/contract/operation.ts'
import { string } from '../src/contract/payload.ts'
import { ReplyError } from '../src/errors.ts'
import { idempotency } from '../src/idempotency/idempotency.ts'
import { memoryIdempotencyStore } from '../src/idempotency/memory-store.ts'
import type { RawHeader } from '../src/wire/headers.ts'
import { groupHeader, idempotencyKeyHeader, manyRepliesHeader, readGroup } from '../src/wire/milena.ts'
import { setUp } from './replying.ts'

const say = defineOperation({ name: 'say', topic: 'shop_request', request: string(), reply: string() })
const text = (value: string): Buffer => Buffer.from(value)
const many: { readonly headers: readonly RawHeader[] } = { headers: [manyRepliesHeader] }

test('a reply, and an error, bear the group only where the request wants several', async (t) => {
  const { asking, replier } = await setUp(t)
  const shop = replier({ groupId: 'the group' })
  shop.handle(say, (request) => {
    if (request === 'fail') throw new ReplyError('NO', 'no')
    return request
  })
  await shop.start()
  const groups: (string | undefined)[] = []
  for (const request of ['tea', 'fail'])
    for (const question of [many, {}, { headers: [[manyRepliesHeader[0], text('some')] as RawHeader] }]) {
      const { record, error } = await asking.answerTo(text(request), question)
      assert.equal(error?.code, request === 'fail' ? 'NO' : undefined)
      groups.push(readGroup(record.headers))
    }
  const plain = [undefined, undefined]
  assert.deepEqual(groups, ['the group', ...plain, 'the group', ...plain])
})

test('a stored reply that is told again bears the group, whatever the first request wanted', async (t) => {
  const { asking, replier } = await setUp(t)
  const shop = replier({ groupId: 'stores' })
  let handled = 0
  shop.handle(say, () => `${++handled}`, { useRecords: [idempotency({ store: memoryIdempotencyStore() })] })
  await shop.start()
  const key = idempotencyKeyHeader('order-1')
  const replies = []
  for (const headers of [[key], [key, manyRepliesHeader], [key, manyRepliesHeader], [key]])
    replies.push(await asking.answerTo(text('tea'), { headers }))
  assert.deepEqual(
    replies.map((reply) => [reply.text, readGroup(reply.record.headers)]),
    [
      ['1', undefined],
      ['1', 'stores'],
      ['1', 'stores'],
      ['1', undefined],
    ],
  )
})

test('a group whose name is longer than its header may be is not told: cut, it could be another’s', async (t) => {
  assert.equal(String(groupHeader('g'.repeat(255))?.[1]), 'g'.repeat(255))
  assert.equal(groupHeader('g'.repeat(256)), undefined)
  assert.equal(readGroup([[text('milena-group'), text('g'.repeat(256))]]), undefined)
  assert.equal(readGroup([[text('milena-group'), text('')]]), undefined)
  const { asking, replier } = await setUp(t)
  const shop = replier({ groupId: 'ü'.repeat(128) })
  shop.handle(say, (request) => request)
  await shop.start()
  assert.equal(readGroup((await asking.answerTo(text('tea'), many)).record.headers), undefined)
})

test('an application cannot name a group in its place', async (t) => {
  const { asking, replier } = await setUp(t)
  const shop = replier({ groupId: 'mine', copyHeaders: ['tenant'] })
  shop.handle(say, (request) => request)
  await shop.start()
  assert.throws(() => replier({ replyHeaders: { 'milena-group': 'x' } }), /milena-group/)
  const { record } = await asking.answerTo(text('tea'), {
    headers: [manyRepliesHeader, groupHeader('forged')!, [text('tenant'), text('t')]],
  })
  assert.deepEqual(
    record.headers.map(([name, value]) => `${String(name)}=${value!.length === 16 ? '' : String(value)}`),
    ['tenant=t', 'kafka_correlationId=', 'milena-group=mine'],
  )
})
