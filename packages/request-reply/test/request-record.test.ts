import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import {
  createReplier,
  defineOperation,
  MessageHeaders,
  requestRecord,
  springProfile,
} from '@milena/request-reply'
import { createMemoryBroker } from '@milena/request-reply/testing'
import { waitFor } from '../../../test/support/wait-for.ts'
import { Collector } from '../src/testing/collector.ts'

const cancel = defineOperation({
  name: 'deposit.cancel',
  topic: 'deposits',
  request: z.object({ id: z.string(), amount: z.number().default(0) }),
  reply: z.object({ done: z.boolean() }),
  key: ({ id }) => id,
})

test('the record of a command has the operation, the key and the idempotency key, and asks for no reply', async () => {
  const record = await requestRecord(cancel, { id: 'x' }, { idempotencyKey: 'k', headers: { a: 'b' } })
  const headers = [...new MessageHeaders(record.headers)].map(([name, value]) => [name, String(value)])
  assert.deepEqual(headers, [
    ['a', 'b'],
    ['milena-operation', 'deposit.cancel'],
    ['milena-idempotency-key', 'k'],
  ])
  assert.deepEqual([record.topic, String(record.key), String(record.value)], ['deposits', 'x', '{"id":"x"}'])
  assert.equal(springProfile.readReplyRequest(record.headers), undefined)
  assert.deepEqual([record.idempotencyKey, record.correlationId], ['k', undefined])
})

test('with an address it asks for a reply, by a correlation id of its own or the given one', async () => {
  const replyTo = { topic: 'replies', partition: 3 }
  const one = await requestRecord(cancel, { id: 'x' }, { replyTo })
  const two = await requestRecord(cancel, { id: 'x' }, { replyTo })
  assert.notDeepEqual(one.correlationId, two.correlationId)
  assert.deepEqual(springProfile.readReplyRequest(one.headers), {
    correlationId: one.correlationId,
    address: replyTo,
  })
  const correlationId = Buffer.alloc(16, 7)
  const three = await requestRecord(cancel, { id: 'x' }, { replyTo, correlationId, deadline: 5_000 })
  assert.deepEqual(three.correlationId, correlationId)
  assert.equal(new MessageHeaders(three.headers).text('milena-deadline'), '5000')
})

test('a replier handles it, and its reply goes where the record says', async () => {
  const broker = createMemoryBroker({
    topics: [
      { name: 'deposits', partitions: 1 },
      { name: 'deposit-replies', partitions: 2 },
    ],
  })
  const transport = broker.connect()
  const replies = new Collector()
  const { onRecords } = replies
  await transport.tail({ topic: 'deposit-replies', partitions: 'all', from: 'earliest', onRecords })
  await using replier = createReplier({ transport, groupId: 'g', replyTopics: ['deposit-replies'] })
  replier.handle(cancel, ({ amount }) => ({ done: amount === 0 }))
  await replier.start()
  const replyTo = { topic: 'deposit-replies', partition: 1 }
  const record = await requestRecord(cancel, { id: 'x' }, { replyTo })
  await transport.send(record)
  await waitFor(() => replies.records.length > 0, { what: 'the reply' })
  const [reply] = replies.records
  assert.equal(String(reply!.value), '{"done":true}')
  assert.equal(reply!.partition, 1)
  assert.deepEqual(springProfile.readCorrelation(reply!.headers), record.correlationId)
  await transport.close()
})

test('it is checked as a request is', async () => {
  await assert.rejects(requestRecord(cancel, { id: 7 } as never), { code: 'MILENA_REQUEST_INVALID' })
  await assert.rejects(
    requestRecord(cancel, { id: 'x' }, {
      partition: -1,
      replyTo: { topic: '' },
      correlationId: Buffer.alloc(3),
      idempotencyKey: 'k'.repeat(256),
      deadline: Number.NaN,
      other: 1,
    } as never),
    {
      code: 'MILENA_OPTIONS_INVALID',
      message:
        /no option other; partition must.*; replyTo: topic must.*; correlationId must.*; idempotencyKey must.*; deadline must/,
    },
  )
  const chosen = defineOperation({ name: 'n', topic: 't', request: z.string(), partition: () => 1 })
  await assert.rejects(requestRecord(chosen, 'x'), { message: /partition must be given/ })
})
