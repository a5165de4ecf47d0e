/** What becomes of requests when their requester closes. */
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { test } from 'node:test'
import { defineOperation } from '../src/contract/operation.ts'
import { string } from '../src/contract/payload.ts'
import { MilenaError } from '../src/errors.ts'
import { createRequester } from '../src/requester/requester.ts'
import { replyPartition } from '../src/routing/reply-partition.ts'
import type { OpenReplyRouting } from '../src/routing/routing.ts'
import { createMemoryBroker } from '../src/transport/memory/broker.ts'
import { slowSchema } from './hung.ts'
import { ManualClock } from './manual-clock.ts'
import { altered, code, echo, opened, setUp, until } from './requesting.ts'

test('close waits for pending replies', async () => {
  const { requester, replier } = await setUp(() => undefined, { drainTimeout: 1000 })
  const pending = requester.request(echo, Buffer.from('x'))
  await until(() => replier.requests.length === 1)
  const closing = requester.close()
  await assert.rejects(requester.request(echo, Buffer.from('y')), code('MILENA_CLOSED'))
  await replier.answer(replier.requests[0]!, { value: Buffer.from('in time') })
  assert.equal((await pending).value.toString(), 'in time')
  await closing
})

test('close rejects what is left after its bound, and leaves no timer', async () => {
  const { requester, replier, clock } = await setUp(() => undefined)
  const outcome = assert.rejects(requester.request(echo, Buffer.from('x')), (error: unknown) => {
    assert.ok(error instanceof MilenaError)
    assert.equal(error.code, 'MILENA_ABANDONED')
    assert.equal(error.outcomeKnown, false)
    return true
  })
  await until(() => replier.requests.length === 1)
  const closing = requester.close({ timeout: 500 })
  await clock.advance(500)
  await outcome
  await closing
  assert.equal(requester.stats().abandoned, 1)
  assert.equal(clock.timers, 0)
})

test('a request that is made while the requester closes is rejected, and leaves no rejection unhandled', async () => {
  const broker = createMemoryBroker({
    topics: [
      { name: 'requests', partitions: 1 },
      { name: 'replies', partitions: 1 },
    ],
  })
  const transport = broker.connect()
  const replyRouting = replyPartition({ topic: 'replies', partition: 0 })
  const requester = await createRequester({ transport, replyRouting })
  // The topic is not known yet, and the connection goes before the answer to a question about it could come.
  const closing = requester.close()
  const rejected = assert.rejects(requester.request(echo, Buffer.from('x')), code('MILENA_CLOSED'))
  await Promise.all([closing, rejected, transport.close()])
  await new Promise((resolve) => setImmediate(resolve))
})

/** Of a routing that never gives back its reply address. */
const openHung = async (): Promise<OpenReplyRouting> => ({
  address: () => ({ topic: 'replies' }),
  close: () => new Promise(() => {}),
})

const openNever = (): Promise<never> => Promise.reject(new Error('no reply topic today'))

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
