/** `context.forward()`: what a request made inside of a handler carries of the one that is handled. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { defineOperation, type Operation } from '../src/contract/operation.ts'
import { string } from '../src/contract/payload.ts'
import type { MilenaError, OptionsError } from '../src/errors.ts'
import type { HandlerContext } from '../src/replier/context.ts'
import type { ReplierOptions } from '../src/replier/options.ts'
import { createReplier, type Handler } from '../src/replier/replier.ts'
import { createRequester, type Requester } from '../src/requester/requester.ts'
import { replyPartition } from '../src/routing/reply-partition.ts'
import { createMemoryBroker } from '../src/transport/memory/broker.ts'
import type { IncomingRecord } from '../src/transport/transport.ts'
import { MessageHeaders } from '../src/wire/headers.ts'
import { readDeadline, readTimeout } from '../src/wire/milena.ts'
import { Collector } from '../src/testing/collector.ts'
import { code } from './requesting.ts'

type Step = Operation<string, string, string, string>

const step = (name: string, topic: string): Step =>
  defineOperation({ name, topic, request: string(), reply: string() })
const first = step('first', 'first_request')
const second = step('second', 'second_request')
const third = step('third', 'third_request')

interface Chain {
  /** Starts a replier in a process of its own, and gives the requester that its handler may use. */
  serve(
    operation: Step,
    handler: (value: string, context: HandlerContext, requester: Requester) => Promise<string> | string,
    options?: Partial<ReplierOptions>,
  ): Promise<void>
  readonly requester: Requester
  /** The requests of a topic, once there are so many. */
  requestsOf(operation: Step, count: number): Promise<readonly IncomingRecord[]>
  readonly warned: string[]
}

async function setUp(t: TestContext): Promise<Chain> {
  const topics = [first, second, third].map(({ topic }) => ({ name: topic, partitions: 1 }))
  const broker = createMemoryBroker({ topics: [...topics, { name: 'chain_reply', partitions: 8 }] })
  const warned: string[] = []
  const seen = new Collector()
  const watching = broker.connect()
  t.after(() => watching.close())
  for (const { name } of topics)
    await watching.tail({ topic: name, partitions: 'all', from: 'earliest', onRecords: seen.onRecords })
  const connect = async (): Promise<Requester> => {
    const transport = broker.connect()
    const requester = await createRequester({
      transport,
      replyRouting: replyPartition({ topic: 'chain_reply' }),
      drainTimeout: 0,
    })
    t.after(async () => {
      await requester.close()
      await transport.close()
    })
    return requester
  }
  return {
    requester: await connect(),
    warned,
    async serve(operation, handler, options = {}) {
      const requester = await connect()
      const transport = broker.connect()
      const replier = createReplier({
        transport,
        groupId: operation.name,
        replyTopics: ['chain_reply'],
        logger: { warn: (message) => void warned.push(message) },
        ...options,
      })
      const handle: Handler<string, string> = (value, context) => handler(value, context, requester)
      replier.handle(operation, handle)
      await replier.start()
      t.after(async () => {
        await replier.close({ timeout: 0 })
        await transport.close()
      })
    },
    async requestsOf({ topic }, count) {
      const found = (): IncomingRecord[] => seen.records.filter((record) => record.topic === topic)
      await seen.conditions.until(`${count} requests stand in ${topic}`, () => found().length >= count)
      return found()
    },
  }
}

const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

test('along a chain of requests the trace stays the same, and the deadline with it', async (t) => {
  const chain = await setUp(t)
  await chain.serve(first, async (value, context, requester) => {
    const reply = await requester.request(second, `${value}1`, { timeout: 60_000, ...context.forward() })
    return reply.value
  })
  await chain.serve(second, async (value, context, requester) => {
    const reply = await requester.request(third, `${value}2`, { timeout: 60_000, ...context.forward() })
    return reply.value
  })
  await chain.serve(third, (value) => `${value}3`)
  const headers = { traceparent: trace, tracestate: 'a=1', baggage: 'tenant=acme', secret: 'no' }
  const reply = await chain.requester.request(first, '0', { timeout: 30_000, headers })
  assert.equal(reply.value, '0123')
  const records = await Promise.all(
    [first, second, third].map(async (operation) => (await chain.requestsOf(operation, 1))[0]!),
  )
  const told = records.map((record) => new MessageHeaders(record.headers))
  for (const name of ['traceparent', 'tracestate', 'baggage'] as const)
    assert.deepEqual(
      told.map((one) => one.text(name)),
      [headers[name], headers[name], headers[name]],
    )
  assert.deepEqual(
    told.map((one) => one.text('secret')),
    ['no', undefined, undefined],
  )
  const deadlines = records.map((record) => readDeadline(record.headers)!)
  const timeouts = records.map((record) => readTimeout(record.headers)!)
  // By its own clock each says how long is left, never more than the one before it, nor than the first had.
  assert.ok(deadlines[1]! <= deadlines[0]! && deadlines[2]! <= deadlines[1]!, String(deadlines))
  assert.ok(timeouts[1]! <= timeouts[0]! && timeouts[2]! <= timeouts[1]!, String(timeouts))
  // And no less is waited than there is left: not the requesters' own timeout, of 5 s, nor the one of the options.
  assert.ok(deadlines[2]! > deadlines[0]! - 20_000, String(deadlines))
  assert.ok(timeouts[2]! <= 30_000 && timeouts[2]! > 5_000, String(timeouts))
})

test('a replier says which headers are handed on: of each name the last, a null one as null', async (t) => {
  const chain = await setUp(t)
  const given: unknown[] = []
  await chain.serve(
    first,
    async (value, context, requester) => {
      given.push(context.forward())
      return (await requester.request(second, value, context.forward())).value
    },
    { forwardHeaders: ['tenant', 'empty', 'absent'] },
  )
  await chain.serve(second, (value) => value)
  const headers = { tenant: 'acme', empty: null, traceparent: trace }
  await chain.requester.request(first, 'x', { headers })
  const [request] = await chain.requestsOf(second, 1)
  const told = new MessageHeaders(request!.headers)
  assert.deepEqual(
    ['tenant', 'empty', 'absent', 'traceparent'].map((name) => told.get(name)),
    [Buffer.from('acme'), null, undefined, undefined],
  )
  const [forwarded] = given as ReturnType<HandlerContext['forward']>[]
  assert.deepEqual(Object.keys(forwarded!).toSorted(), ['deadline', 'headers', 'signal'])
  assert.deepEqual(forwarded!.headers, { tenant: Buffer.from('acme'), empty: null })
})

test('what is no name of a header, or one of the library itself, cannot be handed on', () => {
  for (const [forwardHeaders, problem] of [
    [['kafka_correlationId'], "forwardHeaders: kafka_correlationId is one of the library's own"],
    [['milena-deadline'], "forwardHeaders: milena-deadline is one of the library's own"],
    [[''], 'forwardHeaders must be names'],
    [[7], 'forwardHeaders must be names'],
    ['traceparent', 'forwardHeaders must be a list'],
  ] as const)
    assert.throws(
      () =>
        createReplier({
          groupId: 'g',
          kafka: { brokers: ['b:1'] },
          forwardHeaders: forwardHeaders as unknown as string[],
        }),
      (error: OptionsError) => {
        assert.deepEqual(error.problems, [problem])
        return true
      },
    )
})

test('when the deadline of the first request is over, so is every request that was made for it', async (t) => {
  const chain = await setUp(t)
  const inner = Promise.withResolvers<MilenaError>()
  const held = Promise.withResolvers<string>()
  t.after(() => held.resolve(''))
  await chain.serve(first, async (value, context, requester) => {
    try {
      return (await requester.request(second, value, context.forward())).value
    } catch (error) {
      inner.resolve(error as MilenaError)
      throw error
    }
  })
  await chain.serve(second, () => held.promise)
  const waiting = chain.requester.request(first, 'x', { timeout: 300 })
  await assert.rejects(waiting, code('MILENA_TIMEOUT', { effect: 'unknown' }))
  const error = await inner.promise
  // The handler's signal and the request's own deadline: whichever fires first, they say the same.
  assert.ok(['MILENA_CANCELLED', 'MILENA_TIMEOUT'].includes(error.code), error.code)
  if (error.code === 'MILENA_CANCELLED')
    assert.match(String(error.cause), /the deadline of the request has passed/)
})

test('a request for which nothing is left of the deadline is not sent, and the handler ends as one that was out of time', async (t) => {
  const chain = await setUp(t)
  const inner = Promise.withResolvers<MilenaError>()
  await chain.serve(first, async (value, context, requester) => {
    while (Date.now() < context.deadline!) await new Promise((resolve) => setImmediate(resolve))
    try {
      return (await requester.request(second, value, context.forward())).value
    } catch (error) {
      inner.resolve(error as MilenaError)
      throw error
    }
  })
  const late = chain.requester.request(first, 'x', { timeout: 200 })
  await assert.rejects(late, code('MILENA_TIMEOUT'))
  const error = await inner.promise
  assert.match(error.message, /operation second: not sent, since its deadline (is over|was over \d+ ms ago)$/)
  code('MILENA_NOT_SENT', { sent: 'no', effect: 'none', retryable: false })(error)
  // No handler has failed: there was nothing left to do in time.
  assert.deepEqual(chain.warned, [])
})

test('when the handled request is given up, so is what was asked for it', async (t) => {
  const chain = await setUp(t)
  const inner = Promise.withResolvers<MilenaError>()
  const began = Promise.withResolvers<void>()
  const held = Promise.withResolvers<string>()
  t.after(() => held.resolve(''))
  await chain.serve(
    first,
    async (value, context, requester) => {
      try {
        return (await requester.request(second, value, context.forward())).value
      } catch (error) {
        inner.resolve(error as MilenaError)
        throw error
      }
    },
    { handlerTimeout: 100 },
  )
  await chain.serve(second, () => {
    began.resolve()
    return held.promise
  })
  const refused = assert.rejects(chain.requester.request(first, 'x', { timeout: 60_000 }), {
    code: 'MILENA_REMOTE_ERROR',
    remoteCode: 'MILENA_HANDLER_TIMEOUT',
  })
  await began.promise
  assert.equal((await inner.promise).code, 'MILENA_CANCELLED')
  await refused
})
