/** Whatever the application throws at the replier ends in an outcome of that one request. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineOperation } from '../src/contract/operation.ts'
import { json } from '../src/contract/payload.ts'
import { ReplyError } from '../src/errors.ts'
import type { Outcome } from '../src/replier/outcome.ts'
import { echo, setUp } from './replying.ts'

/** Whatever a handler without types may throw. */
const hostile: readonly (readonly [string, () => unknown])[] = [
  ['null', () => null],
  ['undefined', () => undefined],
  ['a symbol', () => Symbol('secret')],
  ['an object without a prototype', () => Object.create(null)],
  [
    'a proxy that refuses everything',
    () =>
      new Proxy(
        {},
        {
          get: () => {
            throw new Error('no')
          },
          getPrototypeOf: () => {
            throw new Error('no')
          },
          has: () => {
            throw new Error('no')
          },
        },
      ),
  ],
  [
    'an error whose getters throw',
    () =>
      Object.defineProperties(new Error('x'), {
        message: { get: () => assert.fail('message') },
        stack: { get: () => assert.fail('stack') },
        name: { get: () => assert.fail('name') },
        cause: { get: () => assert.fail('cause') },
      }),
  ],
  ['a ReplyError whose code is a symbol', () => new ReplyError(Symbol('x') as never, 'x')],
  ['a ReplyError whose code is an object', () => new ReplyError(Object.create(null) as never, 'x')],
  [
    'a ReplyError whose code throws',
    () => Object.defineProperty(new ReplyError('X', 'x'), 'code', { get: () => assert.fail('code') }),
  ],
]

test('record middleware: one that throws, or returns no outcome, fails its request and is named', async (t) => {
  const { replier, asking, warned } = await setUp(t)
  const results: (() => unknown)[] = [
    ...hostile.map(([, make]) => () => {
      throw make()
    }),
    () => undefined,
    () => 'reply',
    () => ({ kind: 'replied' }),
    () => ({ kind: 'reply', value: 'text', headers: [] }),
    () => ({ kind: 'reply', value: null }),
    () => ({ kind: 'reply', value: null, headers: [[Buffer.from('milena-error-code'), null]] }),
    () => ({ kind: 'error', code: 7, message: 'x' }),
    () => ({ kind: 'later' }),
    () => ({ kind: 'stop' }),
    () => Object.create(null),
  ]
  const worker = replier()
  const left = [...results]
  worker.useRecords(function broken(_request, next) {
    const result = left.shift()
    return result === undefined ? next() : (result() as Outcome)
  })
  worker.handle(echo, (request) => request)
  await worker.start()
  for (const _ of results) {
    assert.equal((await asking.answerTo('x')).error?.code, 'MILENA_HANDLER_FAILED')
  }
  assert.equal((await asking.answerTo('fine')).text, 'fine')
  await worker.close()
  // Each, or counted with those of its kind.
  const told = warned.map(({ details: { more = 1 } }) => more as number)
  assert.equal(
    told.reduce((sum, more) => sum + more, 0),
    results.length,
  )
  assert.ok(warned.every(({ details }) => details.middleware === 'broken'))
  assert.ok(warned.some(({ details }) => /an object that is no outcome/.test(String(details.error))))
})

for (const [what, make] of hostile) {
  test(`a handler that throws ${what} fails its request and nothing else`, async (t) => {
    const { replier, asking } = await setUp(t)
    for (const exposeErrors of [false, true]) {
      const worker = replier({ exposeErrors })
      worker.handle(echo, (request) => {
        if (request === 'bad') throw make()
        return request
      })
      await worker.start()
      const { error } = await asking.answerTo('bad')
      assert.equal(error?.code, 'MILENA_HANDLER_FAILED')
      assert.equal((await asking.answerTo('fine')).text, 'fine')
      await worker.close()
    }
  })

  test(`select, middleware and replyHeaders that throw ${what} fail their request and nothing else`, async (t) => {
    const { replier, asking } = await setUp(t)
    const worker = replier({
      select: ({ key }) => {
        if (String(key) === 'select') throw make()
        return 'echo'
      },
      replyHeaders: ({ key }) => {
        if (String(key) === 'replyHeaders') throw make()
        return {}
      },
    })
    worker.use((_request, { key }, next) => {
      if (String(key) === 'middleware') throw make()
      return next()
    })
    worker.handle(echo, (request) => request)
    worker.handle(defineOperation({ name: 'other', topic: 'shop_request', request: json() }), () => undefined)
    await worker.start()
    assert.equal((await asking.answerTo('x', { key: 'select' })).error?.code, 'MILENA_HANDLER_FAILED')
    assert.equal((await asking.answerTo('x', { key: 'middleware' })).error?.code, 'MILENA_HANDLER_FAILED')
    assert.equal((await asking.answerTo('x', { key: 'replyHeaders' })).error?.code, 'MILENA_REPLY_INVALID')
    assert.equal((await asking.answerTo('x')).text, 'x')
  })
}

test('exposeErrors shows a bounded stack in which nothing steers a terminal', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier({ exposeErrors: true })
  worker.handle(echo, () => {
    throw new Error(`\u001b[2J${'x'.repeat(100_000)}`)
  })
  await worker.start()
  const { error } = await asking.answerTo('x')
  assert.match(error!.message, /\\u001b\[2J/)
  assert.ok(!error!.message.includes('\u001b'))
  assert.ok(error!.message.length < 2_049)
})
