/** What can be watched of requests: one end each, and a trace around each. */
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { test } from 'node:test'
import { defineOperation, type Operation } from '../src/contract/operation.ts'
import { string } from '../src/contract/payload.ts'
import {
  requestTracing,
  type ReceivedStep,
  type RejectedStep,
  type RequestEndedStep,
  type RequestTrace,
  type SentStep,
} from '../src/diagnostics.ts'
import { errorHeaders } from '../src/wire/milena.ts'
import { echo, opened, seenOn, setUp, until, warningsSeen } from './requesting.ts'

const value = Buffer.from('secret')

function named(name: string): Operation<string, string, string, string> {
  return defineOperation({ name, topic: 'requests', request: string(), reply: string() })
}

test('each accepted request ends once, with its outcome, and each other one is rejected once', async () => {
  const accepted = seenOn('milena:request:accepted')
  const ended = seenOn<RequestEndedStep>('milena:request:ended')
  const rejected = seenOn<RejectedStep>('milena:request:rejected')
  const { requester, replier, clock, broker } = await setUp(() => undefined, { maxPending: 5 })
  const missing = defineOperation({ name: 'm', topic: 'nowhere', request: string(), reply: string() })
  const asked: Promise<unknown>[] = []
  const ask = (options = {}): void => void asked.push(requester.request(echo, value, options).catch(() => {}))
  ask({ key: 'replied' })
  await until(() => replier.requests.length === 1)
  const controller = new AbortController()
  for (const one of [{}, { timeout: 50 }, { signal: controller.signal }, { key: 'abandoned' }]) ask(one)
  await until(() => replier.requests.length === 5)
  ask()
  await replier.answer(replier.requests[0]!, { value })
  await replier.answer(replier.requests[1]!, {
    value: null,
    headers: errorHeaders({ code: 'NO', message: 'no' }),
  })
  controller.abort()
  await clock.advance(50)
  broker.faults = { send: () => ({ fate: 'not-sent' }) }
  ask()
  await asked.at(-1)
  for (const bad of [{ timeout: -1 }, { partition: 99 }, { signal: AbortSignal.abort() }]) ask(bad)
  asked.push(requester.request(missing, 'x').catch(() => {}))
  await asked.at(-1)
  await requester.close()
  ask()
  await Promise.all(asked)
  assert.deepEqual(
    ended.map(({ outcome }) => outcome),
    ['replied', 'remote-error', 'cancelled', 'timed-out', 'failed', 'failed', 'abandoned'],
  )
  assert.equal(accepted.length, ended.length)
  assert.deepEqual(
    rejected.map(({ code }) => code),
    [
      'MILENA_OVERLOADED',
      'MILENA_OPTIONS_INVALID',
      'MILENA_CANCELLED',
      'MILENA_TOPIC_MISSING',
      'MILENA_CLOSED',
    ],
  )
  assert.equal(requester.stats().rejected, rejected.length)
  for (const { topic, duration, error, outcome } of ended) {
    assert.equal(topic, 'requests')
    assert.equal(error === undefined, outcome === 'replied')
    assert.equal(duration, outcome === 'timed-out' || outcome === 'abandoned' ? 50 : 0)
  }
  assert.ok(!JSON.stringify([...ended, ...rejected]).includes('secret'))
})

test('steps say topic, bytes, attempt, and when the reply was written', async () => {
  const sent = seenOn<SentStep>('milena:request:sent')
  const received = seenOn<ReceivedStep>('milena:reply:received')
  const { requester, replier } = await setUp(() => undefined)
  const pending = requester.register(await requester.prepare(echo, value))
  await pending.dispatch()
  await pending.dispatch()
  await until(() => replier.requests.length === 2)
  await replier.answer(replier.requests[0]!, { value })
  await pending.reply
  assert.deepEqual(
    sent.map(({ attempt, topic, bytes }) => [attempt, topic, bytes]),
    [1, 2].map((attempt) => [attempt, 'requests', replier.requests[0]!.size]),
  )
  assert.ok(received[0]!.bytes > value.length)
  assert.ok(received[0]!.timestamp > 0)
})

test('a trace surrounds each request; its subscribers may add headers and enter a context', async () => {
  const spans = new AsyncLocalStorage<RequestTrace>()
  const steps: string[] = []
  const traces = new Set<RequestTrace>()
  const note =
    (name: string) =>
    (message: unknown): void => {
      const trace = message as RequestTrace
      traces.add(trace)
      steps.push(name)
      if (name === 'start') trace.headers.push([Buffer.from('traceparent'), Buffer.from(trace.correlationId)])
    }
  const subscribers = {
    start: note('start'),
    end: note('end'),
    asyncStart: note('asyncStart'),
    asyncEnd: note('asyncEnd'),
    error: note('error'),
  }
  requestTracing.subscribe(subscribers)
  requestTracing.start.bindStore(spans, (trace) => trace)
  opened.push({
    async close() {
      requestTracing.unsubscribe(subscribers)
      requestTracing.start.unbindStore(spans)
    },
  })
  let inside: RequestTrace | undefined
  const keyed = { headers: () => ((inside = spans.getStore()), undefined) }
  const { requester, replier, broker } = await setUp(undefined, keyed)
  const reply = await requester.request(echo, value)
  assert.deepEqual(steps, ['start', 'end', 'asyncStart', 'asyncEnd'])
  assert.equal(traces.size, 1)
  assert.ok(traces.has(inside!))
  assert.equal(spans.getStore(), undefined)
  const [name, content] = replier.requests[0]!.headers[0]!
  assert.deepEqual([String(name), String(content)], ['traceparent', reply.correlationId])
  assert.ok(!JSON.stringify([...traces]).includes('secret'))

  steps.length = 0
  broker.faults = { send: () => ({ fate: 'not-sent' }) }
  await requester.request(echo, value).catch(() => {})
  assert.deepEqual(steps, ['start', 'end', 'error', 'asyncStart', 'asyncEnd'])
  steps.length = 0
  await requester.request(echo, value, { partition: -1 }).catch(() => {})
  assert.deepEqual(steps, ['start', 'error', 'end'])
})

test('what subscribers of the trace do wrong is a warning, and no fault of the request', async () => {
  const warnings = warningsSeen()
  const wrong: readonly unknown[] = [
    ['text', 'text'],
    [Buffer.from('milena-error-code'), Buffer.from('X')],
    null,
    [Buffer.from('fine'), null],
  ]
  const start = (message: unknown): void =>
    void ((message as RequestTrace).headers as unknown[]).push(...wrong)
  requestTracing.start.subscribe(start)
  opened.push({
    async close() {
      requestTracing.start.unsubscribe(start)
    },
  })
  const { requester, replier } = await setUp()
  await requester.request(echo, value)
  assert.equal(warnings.length, 3)
  assert.equal(replier.requests[0]!.headers[0]![0].toString(), 'fine')
})

test('statistics are kept by operation, for a bounded number of names', async () => {
  const { requester } = await setUp()
  for (let n = 0; n < 110; n++) await requester.request(named(`operation ${n}`), 'x')
  // The same name is the same operation.
  await requester.request(named('operation 0'), 'x')
  await requester.request(named('operation 0'), 'x', { partition: 9 }).catch(() => {})
  const { operations, accepted, replied, failed, roundTrip } = requester.stats()
  assert.deepEqual([accepted, replied, failed, roundTrip.count], [112, 111, 1, 111])
  assert.equal(Object.keys(operations).length, 101)
  const first = operations['operation 0']!
  assert.deepEqual([first.accepted, first.replied, first.failed, first.roundTrip.count], [3, 2, 1, 2])
  assert.equal(operations['(others)']!.replied, 10)
})

test('what is no operation is rejected without a name, whatever it says it is', async () => {
  const rejected = seenOn<RejectedStep>('milena:request:rejected')
  const { requester } = await setUp()
  const made = { name: 'made up', topic: 'none' } as never
  await assert.rejects(requester.request(made, Buffer.from('x')), { code: 'MILENA_OPTIONS_INVALID' })
  assert.deepEqual(
    rejected.map(({ operation, topic }) => [operation, topic]),
    [['(none)', '(none)']],
  )
})
