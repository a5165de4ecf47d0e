/** Replies that nobody waits for, and requests that nobody answers: what a requester says of how the other side is set up. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineOperation } from '../src/contract/operation.ts'
import { bytes } from '../src/contract/payload.ts'
import { replyPartition } from '../src/routing/reply-partition.ts'
import type { MemoryBroker } from '../src/transport/memory/broker.ts'
import type { ReplyRouting } from '../src/routing/routing.ts'
import type { IncomingRecord, Transport } from '../src/transport/transport.ts'
import { springProfile } from '../src/wire/spring.ts'
import type { Logger } from '../src/warnings.ts'
import { code, echo, opened, setUp, until } from './requesting.ts'

const value = Buffer.from('x')

function logging(): {
  logger: Logger
  told: { message: string; details: Readonly<Record<string, unknown>> }[]
} {
  const told: { message: string; details: Readonly<Record<string, unknown>> }[] = []
  return { logger: { warn: (message, details) => void told.push({ message, details }) }, told }
}

function otherSide(broker: MemoryBroker): Transport {
  const transport = broker.connect()
  opened.push(transport)
  return transport
}

/** The error that it ends in. */
async function errorOf(request: Promise<unknown>): Promise<Error> {
  return request.then(
    () => assert.fail('it was answered'),
    (error: Error) => error,
  )
}

/** What decodes every header as text, and encodes it again, makes of an id. */
const asText = Buffer.from(Buffer.from('ff00fe01fd02fc03fb04fa05f906f807', 'hex').toString('utf8'))

test('a replier that treats the correlation id as text is told at its first reply, and in the time-out', async () => {
  const { logger, told } = logging()
  const { requester, replier, clock, broker } = await setUp(() => undefined, { logger })
  const transport = otherSide(broker)
  const outcome = errorOf(requester.request(echo, value, { timeout: 50 }))
  await until(() => replier.requests.length === 1)
  const { topic, partition } = requester.stats().replyAddress
  await transport.send({
    topic,
    partition: partition!,
    key: null,
    value,
    headers: [[Buffer.from('kafka_correlationId'), asText]],
  })
  await until(() => told.length === 1)
  assert.match(told[0]!.message, /correlation id .* byte for byte, not as text/)
  assert.deepEqual([told[0]!.details.topic, told[0]!.details.partition], [topic, partition])
  await clock.advance(50)
  assert.match((await outcome).message, /matches no request .* byte for byte/)
})

test('replies that match nothing are told when they come again and again while requests stay without', async () => {
  const { logger, told } = logging()
  const { requester, clock, broker } = await setUp(() => undefined, { logger })
  const transport = otherSide(broker)
  const { topic, partition } = requester.stats().replyAddress
  const stray = async (): Promise<void> => {
    const foreign = requester.stats().foreign
    const headers = [springProfile.correlationHeader(Buffer.alloc(16, foreign))]
    await transport.send({ topic, partition: partition!, key: null, value, headers })
    await until(() => requester.stats().foreign === foreign + 1)
  }
  // As long as no request of its own stays without a reply these may be another instance's.
  for (let n = 0; n < 6; n++) await stray()
  assert.equal(told.length, 0)
  const outcome = assert.rejects(requester.request(echo, value, { timeout: 50 }), code('MILENA_TIMEOUT'))
  await until(() => requester.stats().pending === 1)
  await clock.advance(50)
  await outcome
  await stray()
  assert.match(told[0]!.message, /match none of its requests/)
})

test('a second reply to one request after the other is told; to a few it is not', async () => {
  const { logger, told } = logging()
  const { requester, replier } = await setUp(undefined, { logger })
  for (let n = 0; n < 10; n++) {
    assert.equal(told.length, 0)
    await requester.request(echo, value)
    await replier.answer(replier.requests.at(-1)!, { value })
    await until(() => requester.stats().duplicate === n + 1)
  }
  assert.match(told[0]!.message, /answered twice: does a second group/)
})

test('second replies that lag behind by many requests are told, since they do not end', async () => {
  const { logger, told } = logging()
  const { requester, replier } = await setUp(undefined, { logger })
  for (let n = 0; n < 700; n++) {
    await requester.request(echo, value)
    if (n >= 50) await replier.answer(replier.requests[n - 50]!, { value })
  }
  await until(() => requester.stats().duplicate === 650)
  assert.equal(told.length, 1)
})

test('a redelivery of everything that was in hand is not told, however much that was, nor one after the other', async () => {
  const { logger, told } = logging()
  const { requester, replier } = await setUp(undefined, { logger })
  for (let kill = 1; kill <= 5; kill++) {
    await Promise.all(Array.from({ length: 300 }, () => requester.request(echo, value)))
    // The replier dies before it has committed any of them; whoever has its partition next answers all.
    for (const request of replier.requests.slice(-300)) await replier.answer(request, { value })
    await until(() => requester.stats().duplicate === kill * 300)
  }
  assert.deepEqual(told, [])
})

test('a request without a reply says whether its reply topic is one that repliers refuse by default', async () => {
  for (const [topic, refused] of [
    ['other_requests', false],
    ['requests', true],
  ] as const) {
    const replyRouting = replyPartition({ topic: 'other_replies', partition: 2 })
    const { requester, clock } = await setUp(() => undefined, { replyRouting })
    const operation = defineOperation({ name: 'ask', topic, request: bytes(), reply: bytes() })
    const outcome = errorOf(requester.request(operation, value, { timeout: 50 }))
    await until(() => requester.stats().pending === 1)
    await clock.advance(50)
    assert.equal(/by default they do not/.test((await outcome).message), refused, topic)
  }
})

test('a reply of an earlier process that comes while the routing is being opened is no trouble of it', async () => {
  const { logger, told } = logging()
  const inner = replyPartition({ topic: 'replies', partition: 2 })
  const replyRouting: ReplyRouting = {
    ...inner,
    async open(context) {
      const stray = { topic: 'replies', partition: 2, offset: 0, timestamp: 0, key: null, value, size: 70 }
      const headers: IncomingRecord['headers'] = [[Buffer.from('kafka_correlationId'), Buffer.alloc(16, 7)]]
      context.receive([{ ...stray, headers }])
      return inner.open(context)
    },
  }
  const { requester } = await setUp(undefined, { logger, replyRouting })
  assert.equal((await requester.request(echo, value)).value.toString(), 'x')
  assert.deepEqual(told, [])
})
