/** What a record middleware brings with it: topics, operations, and something to open and close. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { string } from '../src/contract/payload.ts'
import { defineOperation, untyped } from '../src/contract/operation.ts'
import type { ReplierExtension, ReplierOpening } from '../src/replier/extension.ts'
import type { Outcome } from '../src/replier/outcome.ts'
import type { RawRequest } from '../src/replier/raw-request.ts'
import type { RecordMiddleware } from '../src/replier/record-middleware.ts'
import { until } from './asking.ts'
import { echo, setUp } from './replying.ts'

function extended(
  extension: ReplierExtension,
  seen: (request: RawRequest) => void = () => {},
): RecordMiddleware {
  const middleware = (request: RawRequest, next: () => Promise<Outcome>): Promise<Outcome> => {
    seen(request)
    return next()
  }
  return Object.assign(middleware, { extension })
}

const plain = { request: string(), reply: string() }
const second = defineOperation({ name: 'second', topic: 'shop_request', ...plain })

const withShop: RecordMiddleware<{ readonly shop: string }> = (_request, next) => next({ shop: 'north' })
const withCounter: RecordMiddleware<{ readonly counter: number }> = (_request, next) => next({ counter: 7 })
const taking: RecordMiddleware<{ readonly attempt: number }> = (_request, next) => next({ attempt: 9 })
// @ts-expect-error next needs what the type says that it adds
export const without: RecordMiddleware<{ readonly shop: string }> = (_request, next) => next()

test('further topics: their records are the operation’s, with its middleware, and know their place', async (t) => {
  const { replier, asking, connect } = await setUp(t)
  await connect().createTopics([
    { name: 'shop_old', partitions: 1 },
    { name: 'shop_again', partitions: 1 },
  ])
  const seen: unknown[] = []
  const worker = replier()
  worker.handle(echo, (request, { attempt, position }) => `${request} ${position.topic} ${attempt}`, {
    useRecords: [
      extended({ topics: () => ['shop_old', { topic: 'shop_again', place: 2 }] }, (request) => {
        seen.push([request.topic, request.base, request.place, request.attempt])
      }),
    ],
  })
  worker.handle(second, (request) => request)
  await worker.start()
  const on = { operation: 'echo' }
  assert.equal((await asking.answerTo('a', on)).text, 'a shop_request 1')
  // It has but the one operation, so a record need not say so.
  assert.equal((await asking.answerTo('b', { topic: 'shop_old' })).text, 'b shop_old 1')
  assert.equal((await asking.answerTo('c', { ...on, topic: 'shop_again' })).text, 'c shop_again 3')
  assert.deepEqual(seen, [
    ['shop_request', 'shop_request', 0, 1],
    ['shop_old', 'shop_request', 0, 1],
    ['shop_again', 'shop_request', 2, 3],
  ])
  const other = await asking.answerTo('d', { operation: 'second', topic: 'shop_old' })
  assert.equal(other.error?.code, 'MILENA_OPERATION_UNKNOWN')
  const elsewhere = await asking.ask('e', { ...on, topic: 'shop_old', replyTo: { topic: 'other_reply' } })
  await until('it is refused', () => worker.stats().passedOver['reply-topic-refused'] === 1)
  assert.deepEqual(asking.repliesTo(elsewhere), [])
})

test('a topic is read for one base, and in one way', async (t) => {
  const { replier } = await setUp(t)
  const worker = replier()
  worker.handle(echo, (request) => request, {
    useRecords: [extended({ topics: () => ['shop_old', { topic: 'shop_again', place: 1 }] })],
  })
  worker.handle(defineOperation({ name: 'third', topic: 'other_request', ...plain }), (request) => request, {
    useRecords: [extended({ topics: () => ['shop_old'] })],
  })
  worker.handle(second, (request) => request, {
    useRecords: [extended({ topics: () => [{ topic: 'shop_again', place: 2 }] })],
  })
  await assert.rejects(worker.start(), {
    code: 'MILENA_OPTIONS_INVALID',
    message:
      /shop_again would be a retry topic at two places.*shop_old would be read for other_request and for /,
  })
})

test('operations that it offers are answered on the topic, by name, with no middleware before them', async (t) => {
  const { replier, asking } = await setUp(t)
  const seen: unknown[] = []
  const asks: string[] = []
  const outcome = defineOperation({ name: 'echo.outcome', topic: 'shop_request', ...plain })
  const worker = replier()
  worker.use((request, _context, next) => {
    asks.push(String(request))
    return next()
  })
  worker.handle(echo, (request) => request, {
    useRecords: [
      extended(
        {
          operations: (operation) => [
            { operation: untyped(outcome), handler: (key) => `${operation.name}: ${String(key)} is done` },
          ],
        },
        ({ operation }) => seen.push(operation),
      ),
    ],
  })
  await worker.start()
  const answer = await asking.answerTo(Buffer.from('o-1'), { operation: 'echo.outcome' })
  assert.equal(answer.text, 'echo: o-1 is done')
  // The operation of the application is still the only one of those that a record need not name.
  assert.equal((await asking.answerTo('x')).text, 'x')
  assert.deepEqual([seen, asks], [['echo'], ['x']])
})

test('an operation is not offered twice, nor in the place of the application’s', async (t) => {
  const { replier } = await setUp(t)
  const worker = replier()
  const taken = { operation: untyped(second), handler: () => 'mine' }
  worker.handle(echo, (request) => request, { useRecords: [extended({ operations: () => [taken] })] })
  worker.handle(second, (request) => request)
  await assert.rejects(worker.start(), {
    message: /operation second on topic shop_request has a handler already/,
  })
})

test('opened before it joins, in the order of the middleware, and closed after the last record, the other way', async (t) => {
  const { replier, asking, warned } = await setUp(t)
  const told: string[] = []
  const openings: ReplierOpening[] = []
  const named = (name: string): RecordMiddleware =>
    extended({
      open(opening) {
        openings.push(opening)
        told.push(`open ${name} for ${opening.operations.map((one) => one.name).join(', ')}`)
      },
      close() {
        told.push(`close ${name}`)
        if (name === 'b') throw new Error('cannot close')
      },
    })
  const worker = replier()
  worker.useRecords(named('a'))
  const shared = named('b')
  worker.handle(
    echo,
    (request) => {
      told.push('handled')
      return request
    },
    { useRecords: [shared] },
  )
  worker.handle(second, (request) => request, { useRecords: [shared, named('c')] })
  await worker.start()
  await asking.answerTo('x', { operation: 'echo' })
  await worker.close()
  assert.deepEqual(told, [
    'open a for echo, second',
    'open b for echo, second',
    'open c for second',
    'handled',
    'close c',
    'close b',
    'close a',
  ])
  const [{ groupId, createTopics, transport }] = openings as [ReplierOpening, ...ReplierOpening[]]
  assert.deepEqual([groupId, createTopics, typeof transport.send], ['shop', false, 'function'])
  assert.match(warned.map(({ message }) => message).join(), /closing a record middleware failed/)
})

test('one that cannot open: start throws it, those that were opened are closed, and it can start again', async (t) => {
  const { replier, asking } = await setUp(t)
  const told: string[] = []
  let isAway = true
  const named = (name: string, fails = false): RecordMiddleware =>
    extended({
      open() {
        told.push(`open ${name}`)
        if (fails && isAway) throw new Error('the store is away')
      },
      close: () => void told.push(`close ${name}`),
    })
  const worker = replier()
  worker.useRecords(named('a'))
  worker.useRecords(named('b', true))
  worker.useRecords(named('c'))
  worker.handle(echo, (request) => request)
  await assert.rejects(worker.start(), { message: 'the store is away' })
  assert.deepEqual(told.splice(0), ['open a', 'open b', 'close b', 'close a'])
  isAway = false
  await worker.start()
  assert.deepEqual(told, ['open a', 'open b', 'open c'])
  assert.equal((await asking.answerTo('x')).text, 'x')
})

test('what is given to next is in the handler’s context, by its type too', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier().useRecords(withShop)
  worker.handle(
    echo,
    (request, { shop, counter }) => `${request} ${shop.toUpperCase()} ${counter.toFixed(1)}`,
    {
      useRecords: [withCounter],
    },
  )
  await worker.start()
  assert.equal((await asking.answerTo('x')).text, 'x NORTH 7.0')
})

test('it cannot take the place of what every context has', async (t) => {
  const { replier, asking, warned } = await setUp(t)
  const worker = replier()
  worker.useRecords(taking)
  worker.handle(echo, (request) => request)
  await worker.start()
  assert.equal((await asking.answerTo('x')).error?.code, 'MILENA_HANDLER_FAILED')
  assert.match(String(warned[0]?.error), /"attempt", which every context has/)
})
