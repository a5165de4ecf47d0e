/** One request, several replies: what the outcome is, and when. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineOperation } from '../src/contract/operation.ts'
import { json } from '../src/contract/payload.ts'
import { MilenaError, RemoteError } from '../src/errors.ts'
import { gatheredIn } from '../src/requester/gathered.ts'
import type { ReplyRouting } from '../src/routing/routing.ts'
import { wantsManyReplies } from '../src/wire/milena.ts'
import { ask, assertLetGo, errorFrom, from, texts, value } from './gathering.ts'
import { assertAccounted, code, echo, setUp, StagedRouting, until } from './requesting.ts'

test('count: so many replies, in the order in which they came, are one outcome', async () => {
  const asked = await ask({ count: 3 })
  await asked.answer(from('a', '1'), from('b', '2'), from('c', '3'))
  const { complete, replies, errors, groups, correlationId, request, duration } = await asked.gathered
  assert.deepEqual([complete, errors, groups, duration], [true, [], ['a', 'b', 'c'], 0])
  assert.deepEqual(texts({ replies }), ['1', '2', '3'])
  assert.deepEqual(new Set(replies.map((reply) => reply.correlationId)), new Set([correlationId]))
  assert.equal(request?.topic, 'requests')
  assert.equal(replies[0]!.headers.text('milena-group'), 'a')
  const { accepted, replied, partial, roundTrip } = asked.requester.stats()
  assert.deepEqual([accepted, replied, partial, roundTrip.count], [1, 1, 0, 3])
  assert.deepEqual(
    asked.ended.map(({ outcome, error }) => [outcome, error]),
    [['replied', undefined]],
  )
  assertLetGo(asked)
})

test('only a request that wants several says so', async () => {
  const { requester, replier } = await setUp()
  await requester.request(echo, value)
  await requester.requestMany(echo, value, { count: 1, headers: { tenant: 't' } })
  assert.deepEqual(
    replier.requests.map(({ headers }) => wantsManyReplies(headers)),
    [false, true],
  )
})

test('until: the release predicate is asked after each reply and each error, and ends the wait', async () => {
  const calls: [string[], number][] = []
  const asked = await ask({
    until: (replies: readonly { readonly value: unknown }[], errors: readonly MilenaError[]) => {
      calls.push([texts({ replies }), errors.length])
      return replies.length + errors.length === 3
    },
  })
  await asked.answer(from('a', '1'), errorFrom('b', 'DECLINED', 'none'), from('c', '3'))
  const { complete, replies, errors, groups } = await asked.gathered
  assert.deepEqual(calls, [
    [['1'], 0],
    [['1'], 1],
    [['1', '3'], 1],
  ])
  assert.deepEqual([complete, texts({ replies }), groups], [true, ['1', '3'], ['a', 'b', 'c']])
  assert.ok(errors[0] instanceof RemoteError && errors[0].remoteCode === 'DECLINED')
})

test('until may be content with errors alone', async () => {
  const asked = await ask({ until: (_: unknown, errors: readonly MilenaError[]) => errors.length === 1 })
  await asked.answer(errorFrom('a', 'DECLINED', 'none'))
  const { complete, replies, errors } = await asked.gathered
  assert.deepEqual([complete, replies, errors.length], [true, [], 1])
})

test('the timeout with one reply at least is a partial outcome, of its own kind', async () => {
  const asked = await ask({ count: 3, timeout: 50 })
  await asked.answer(from('a', '1'), errorFrom('b', 'DECLINED', 'none'))
  await until(() => asked.requester.stats().ownRecordsRead === 2)
  await asked.clock.advance(50)
  const { complete, replies, errors, groups, duration } = await asked.gathered
  assert.deepEqual([complete, texts({ replies }), errors.length], [false, ['1'], 1])
  assert.deepEqual([groups, duration], [['a', 'b'], 50])
  const { partial, replied, timedOut, operations } = asked.requester.stats()
  assert.deepEqual([partial, replied, timedOut, operations['echo']!.partial], [1, 0, 0, 1])
  assert.deepEqual(
    asked.ended.map(({ outcome, error }) => [outcome, error]),
    [['partial', undefined]],
  )
  assertLetGo(asked)
})

test('the timeout without a reply is a TimeoutError, which has the errors that came', async () => {
  const asked = await ask({ count: 2, timeout: 50 })
  await asked.answer(errorFrom('a', 'DECLINED', 'none'), errorFrom('b', 'DECLINED', 'none'))
  await until(() => asked.requester.stats().ownRecordsRead === 2)
  await asked.clock.advance(50)
  const error: unknown = await asked.gathered.catch((thrown: unknown) => thrown)
  code('MILENA_TIMEOUT', { sent: 'yes', effect: 'unknown' })(error)
  const had = gatheredIn(error, echo)!
  assert.deepEqual([had.complete, had.replies, had.groups], [false, [], ['a', 'b']])
  assert.deepEqual(
    had.errors.map((each) => each instanceof RemoteError && each.remoteCode),
    ['DECLINED', 'DECLINED'],
  )
  assert.deepEqual([asked.requester.stats().timedOut, asked.requester.stats().partial], [1, 0])
  assertLetGo(asked)
})

test('errors count towards nothing: replies that come after them do', async () => {
  const asked = await ask({ count: 2 })
  await asked.answer(errorFrom('a', 'DECLINED', 'none'), errorFrom('b', 'DECLINED', 'none'))
  await asked.answer(from('c', '3'), from('d', '4'))
  const { complete, replies, errors } = await asked.gathered
  assert.deepEqual([complete, texts({ replies }), errors.length], [true, ['3', '4'], 2])
})

test('a reply that cannot be read is among the errors, and the others count', async () => {
  const numbers = defineOperation({
    name: 'numbers',
    topic: 'requests',
    request: json<1>(),
    reply: json<number>(),
  })
  const { requester } = await setUp(() => undefined)
  const setup = await setUp(() => undefined)
  const gathered = setup.requester.requestMany(numbers, 1, { count: 1 })
  await until(() => setup.replier.requests.length === 1)
  for (const text of ['{', '2']) await setup.replier.answer(setup.replier.requests[0]!, from(text, text))
  const { replies, errors } = await gathered
  assert.deepEqual([replies[0]!.value, errors.map((error) => error.code)], [2, ['MILENA_CODEC_FAILED']])
  assertAccounted(requester)
})

test('an abort loses nothing that had come', async () => {
  const abort = new AbortController()
  const asked = await ask({ count: 3, signal: abort.signal })
  await asked.answer(from('a', '1'), errorFrom('b', 'DECLINED', 'none'))
  await until(() => asked.requester.stats().ownRecordsRead === 2)
  abort.abort(new Error('enough'))
  const error: unknown = await asked.gathered.catch((thrown: unknown) => thrown)
  code('MILENA_CANCELLED', { sent: 'yes' })(error)
  const had = gatheredIn(error, echo)!
  assert.deepEqual([had.complete, texts(had), had.errors.length], [false, ['1'], 1])
  assert.equal(gatheredIn(error, { ...echo, name: 'another' }), undefined)
  assert.equal(asked.requester.stats().cancelled, 1)
  await asked.answer(from('c', '3'))
  await until(() => asked.late.length === 1)
  assertLetGo(asked)
})

test('closing the requester loses nothing that had come', async () => {
  const asked = await ask({ count: 3 })
  await asked.answer(from('a', '1'))
  await until(() => asked.requester.stats().ownRecordsRead === 1)
  await asked.requester.close()
  const error: unknown = await asked.gathered.catch((thrown: unknown) => thrown)
  code('MILENA_ABANDONED')(error)
  assert.deepEqual(texts(gatheredIn(error, echo)!), ['1'])
  assertLetGo(asked)
})

test('an until that throws, or says neither true nor false, is a clear error, and loses nothing that had come', async () => {
  const failures: [() => unknown, RegExp][] = [
    [
      () => {
        throw new RangeError('no such shop')
      },
      /its until, the release predicate, failed: .*no such shop/,
    ],
    [() => Promise.resolve(true), /must return true or false, not a promise/],
    [() => undefined, /must return true or false, not undefined/],
  ]
  for (const [predicate, message] of failures) {
    const asked = await ask({ until: predicate as () => boolean })
    await asked.answer(from('a', '1'))
    const error: unknown = await asked.gathered.catch((thrown: unknown) => thrown)
    code('MILENA_UNTIL_FAILED', { sent: 'yes', effect: 'unknown' })(error)
    assert.match((error as Error).message, message)
    assert.deepEqual(texts(gatheredIn(error, echo)!), ['1'])
    assert.equal(asked.requester.stats().failed, 1)
    await asked.answer(from('b', '2'))
    await until(() => asked.late.length === 1)
    assertLetGo(asked)
  }
})

test('an until that aborts its own request has one outcome all the same', async () => {
  const abort = new AbortController()
  const asked = await ask({
    signal: abort.signal,
    until: () => {
      abort.abort()
      return true
    },
  })
  await asked.answer(from('a', '1'))
  const error: unknown = await asked.gathered.catch((thrown: unknown) => thrown)
  code('MILENA_CANCELLED')(error)
  assert.deepEqual(texts(gatheredIn(error, echo)!), ['1'])
  assert.equal(asked.ended.length, 1)
  assertLetGo(asked)
})

test('with a codec that takes its time replies are gathered in the order in which they came, and none is lost', async () => {
  const waits: (() => void)[] = []
  const slow = defineOperation({
    name: 'slow',
    topic: 'requests',
    request: json<1>(),
    reply: {
      codec: 'slow',
      schema: undefined,
      encode: (given: string) => Buffer.from(given),
      decode: (given: Buffer | null) =>
        new Promise<string>((resolve) => waits.push(() => resolve(String(given)))),
    },
  })
  const { requester, replier, late, clock } = await setUp(() => undefined)
  const gathered = requester.requestMany(slow, 1, { count: 2 })
  await until(() => replier.requests.length === 1)
  for (const name of ['a', 'b', 'c']) await replier.answer(replier.requests[0]!, from(name, name))
  await replier.answer(replier.requests[0]!, from('b', 'b'))
  await until(() => waits.length === 3 && requester.stats().duplicate === 1)
  for (const go of waits.toReversed()) go()
  const { replies, complete } = await gathered
  assert.deepEqual([replies.map((reply) => reply.value), complete], [['a', 'b'], true])
  await until(() => late.length === 1)
  assert.equal(late[0]!.reply?.value, 'c')

  const some = requester.requestMany(slow, 1, { count: 3, timeout: 50 })
  await until(() => replier.requests.length === 2)
  waits.splice(0)
  for (const name of ['a', 'b']) await replier.answer(replier.requests[1]!, from(name, name))
  await until(() => waits.length === 2)
  waits[0]!()
  await clock.advance(50)
  const { replies: read, complete: all } = await some
  assert.deepEqual([read.map((reply) => reply.value), all], [['a'], false])
  // What was still being read, and what comes now, is late.
  waits[1]!()
  await replier.answer(replier.requests[1]!, from('c', 'c'))
  await until(() => waits.length === 3)
  waits[2]!()
  await until(() => late.length === 3)
  assert.deepEqual(
    late.map(({ reply }) => reply?.value),
    ['c', 'b', 'c'],
  )
  const { contradicting, duplicate } = requester.stats()
  assert.deepEqual([contradicting, duplicate], [0, 1])
  assertAccounted(requester)
})

test('options that cannot work are refused before anything is sent', async () => {
  const { requester, replier } = await setUp()
  const cases: [unknown, RegExp][] = [
    [undefined, /needs options with count or until/],
    [{}, /either count or until/],
    [{ count: 1, until: () => true }, /either count or until/],
    [{ count: 0 }, /count must be a whole number from 1 to 1000 \(maxReplies\), not 0/],
    [{ count: 4, maxReplies: 3 }, /count must be a whole number from 1 to 3/],
    [{ count: 1.5 }, /not 1.5/],
    [{ until: 3 }, /until must be a function/],
    [{ count: 1, maxReplies: 0 }, /maxReplies must be a whole number from 1, not 0/],
    [{ count: 1, counts: 2 }, /there is no option counts/],
  ]
  for (const [options, message] of cases) {
    const outcome = requester.requestMany(echo, value, options as { readonly count: number })
    await assert.rejects(
      outcome,
      (error) => code('MILENA_OPTIONS_INVALID')(error) && message.test(String(error)),
    )
  }
  await assert.rejects(
    requester.requestMany(undefined as unknown as typeof echo, value, { count: 1 }),
    code('MILENA_OPTIONS_INVALID'),
  )
  assert.deepEqual([requester.stats().rejected, requester.stats().accepted], [cases.length + 1, 0])
  assert.equal(replier.requests.length, 0)
})

test('an error of any other request has gathered nothing', async () => {
  const { requester, clock } = await setUp(() => undefined)
  const outcome = requester.request(echo, value, { timeout: 50 }).catch((thrown: unknown) => thrown)
  await until(() => requester.stats().accepted === 1)
  await clock.advance(50)
  assert.equal(gatheredIn(await outcome, echo), undefined)
  assert.equal(gatheredIn(new Error('x'), echo), undefined)
  assert.equal(gatheredIn(undefined, echo), undefined)
})

test('a routing that keeps one reply for each request refuses requestMany, and says so', async () => {
  const routing = new StagedRouting()
  const oneEach: ReplyRouting = {
    name: 'one each',
    open: async (context) => ({ ...(await routing.open(context)), oneReplyEach: true }),
  }
  const { requester, replier } = await setUp(undefined, { replyRouting: oneEach })
  await assert.rejects(
    requester.requestMany(echo, value, { count: 1 }),
    (error) =>
      code('MILENA_OPTIONS_INVALID')(error) &&
      /reply routing one each keeps one reply for each request: requestMany needs one that reads a log/.test(
        String(error),
      ),
  )
  assert.equal(replier.requests.length, 0)
  assert.deepEqual((await requester.request(echo, value)).value, value)
})
