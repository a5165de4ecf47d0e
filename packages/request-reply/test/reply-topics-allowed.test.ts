import assert from 'node:assert/strict'
import { test } from 'node:test'
import { problemOfAddress, problemOfPattern, ReplyTopics } from '../src/wire/reply-topics.ts'

const own = (topic: string): ReplyTopics => new ReplyTopics([], new Set([topic]), topic)

test('by default a request topic allows the reply topics that share its prefix', () => {
  const topics = own('payment_request')
  assert.equal(topics.allows('payment_reply'), true)
  assert.equal(topics.allows('payment_response_gateway-1'), true)
  assert.equal(topics.allows('refund_reply'), false)
  assert.equal(topics.allows('paymentreply'), false)
  assert.equal(own('shop.radius.request').allows('shop.radius.reply.7'), true)
  assert.equal(own('shop.radius.request').allows('shop.other'), false)
})

test('by default no topic of events, no retry topic, dead-letter topic or request topic is written to', () => {
  const topics = own('orders.request')
  for (const name of [
    'orders.paid',
    'orders.request-dlt',
    'orders.request-retry',
    'orders.refund.request',
    'orders.reply-retry-0',
    'orders.reply.dlt',
    'orders.reply.DLQ',
    'orders.reply.dead-letters',
    'orders.results.request',
    'orders.',
  ])
    assert.equal(topics.allows(name), false, name)
  for (const name of ['orders.reply', 'orders.REPLIES.gw-1', 'orders.order-response', 'orders.answers-2'])
    assert.equal(topics.allows(name), true, name)
})

test('a request topic without a separator allows names that begin with it and a separator', () => {
  const topics = own('payments')
  assert.equal(topics.allows('payments-reply'), true)
  assert.equal(topics.allows('payments.reply'), true)
  assert.equal(topics.allows('paymentsreply'), false)
})

test('a topic that the replier handles is never a reply topic, whatever is listed', () => {
  const topics = new ReplyTopics(['*', 'payment_request'], new Set(['payment_request']))
  assert.equal(topics.allows('payment_request'), false)
  assert.equal(topics.allows('anything'), true)
})

test("Kafka's internal topics are never reply topics", () => {
  const topics = new ReplyTopics(['*', '__consumer_offsets'], new Set())
  assert.equal(topics.allows('__consumer_offsets'), false)
  assert.equal(topics.allows('__transaction_state'), false)
})

test('a name that cannot be a topic is not allowed by a prefix', () => {
  const topics = new ReplyTopics(['*'], new Set())
  for (const name of ['a b', 'a\nb', '', '..', 'x'.repeat(250), 'é'])
    assert.equal(topics.allows(name), false, name)
})

test('an exact name allows nothing but itself', () => {
  const topics = new ReplyTopics(['reply'], new Set())
  assert.equal(topics.allows('reply'), true)
  assert.equal(topics.allows('reply2'), false)
})

test('patterns and addresses that cannot work are told', () => {
  assert.equal(problemOfPattern('payment_*'), undefined)
  assert.equal(problemOfPattern('*'), undefined)
  assert.match(problemOfPattern('a*b')!, /may only have/)
  assert.match(problemOfPattern('')!, /name/)
  assert.equal(problemOfAddress({ topic: 'reply', partition: 0 }), undefined)
  assert.match(problemOfAddress({ topic: 'reply', partition: -1 })!, /partition/)
  assert.match(problemOfAddress({ topic: 'no such' })!, /topic/)
})
