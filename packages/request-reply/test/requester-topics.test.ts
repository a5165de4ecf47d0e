/** Request topics: looked up, missing, made, grown, made anew. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineOperation } from '../src/contract/operation.ts'
import { string } from '../src/contract/payload.ts'
import { MilenaError } from '../src/errors.ts'
import { createRequester } from '../src/requester/requester.ts'
import { replyPartition } from '../src/routing/reply-partition.ts'
import { answering } from '../src/testing/answering.ts'
import { createMemoryBroker } from '../src/transport/memory/broker.ts'
import { hung } from './hung.ts'
import { code, echo, opened, setUp, until } from './requesting.ts'

test('a missing request topic is an error that names it and what makes it; then it works', async () => {
  const { requester, broker } = await setUp()
  const elsewhere = defineOperation({ name: 'e', topic: 'elsewhere', request: string(), reply: string() })
  await assert.rejects(requester.request(elsewhere, 'x'), (error: unknown) => {
    assert.ok(error instanceof MilenaError)
    assert.equal(error.code, 'MILENA_TOPIC_MISSING')
    assert.match(error.message, /elsewhere.*createTopics/)
    return true
  })
  const other = broker.connect()
  assert.equal((await other.describeTopics(['elsewhere'])).size, 0)
  await other.createTopics([{ name: 'elsewhere', partitions: 1 }])
  const replier = await answering(other, 'elsewhere')
  opened.push(other, replier)
  assert.equal((await requester.request(elsewhere, 'x')).value, 'x')
})

test('createTopics makes request and reply topics', async () => {
  const broker = createMemoryBroker()
  const transport = broker.connect()
  const requester = await createRequester({
    transport,
    replyRouting: replyPartition({ topic: 'new_reply' }),
    createTopics: true,
  })
  opened.push(transport, requester)
  const operation = defineOperation({ name: 'n', topic: 'new_request', request: string(), reply: string() })
  await assert.rejects(requester.request(operation, 'x', { timeout: 500 }), code('MILENA_TIMEOUT'))
  assert.deepEqual([...(await transport.describeTopics()).keys()].toSorted(), ['new_reply', 'new_request'])
})

test('the partition of a request is the operation’s choice or the caller’s, and must exist', async () => {
  const { requester, replier } = await setUp()
  const chosen = defineOperation({
    name: 'p',
    topic: 'requests',
    request: string(),
    reply: string(),
    partition: (value, partitions) => (value === 'last' ? partitions - 1 : partitions),
  })
  await requester.request(chosen, 'last')
  await requester.request(chosen, 'x', { partition: 0 })
  assert.deepEqual(
    replier.requests.map((request) => request.partition),
    [2, 0],
  )
  await assert.rejects(requester.request(chosen, 'none'), code('MILENA_PARTITION_MISSING'))
  await assert.rejects(requester.request(chosen, 'x', { partition: 1.5 }), code('MILENA_OPTIONS_INVALID'))
  assert.equal(requester.stats().pending, 0)
})

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
