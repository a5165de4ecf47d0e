import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { defineOperation } from '../src/contract/operation.ts'
import { bytes, string } from '../src/contract/payload.ts'
import { OptionsError } from '../src/errors.ts'
import type { EachResult } from '../src/requester/each.ts'
import type { Answering } from '../src/testing/answering.ts'
import { echo, setUp, until } from './requesting.ts'

/** Numbers as items, and which were asked for. */
function* numbered(end: number, asked: number[], closed: () => void = () => undefined): Generator<Buffer> {
  try {
    for (let number = 0; number < end; number++) {
      asked.push(number)
      yield Buffer.from(String(number))
    }
  } finally {
    closed()
  }
}

async function collect<Item, Value>(results: AsyncIterable<EachResult<Item, Value>>) {
  const all: EachResult<Item, Value>[] = []
  for await (const result of results) all.push(result)
  return all
}

async function* damaged(): AsyncGenerator<Buffer> {
  yield Buffer.from('one')
  yield Buffer.from('two')
  throw new Error('the file is damaged')
}

const unanswered = (): undefined => undefined

async function answerTo(replier: Answering, index: number): Promise<void> {
  const request = replier.requests[index]!
  await replier.answer(request, { value: request.value })
}

test('every item of a source has its own result', async () => {
  const { requester } = await setUp()
  const items = Array.from({ length: 1_000 }, (_, index) => Buffer.from(`item ${index}`))
  const results = await collect(requester.requestEach(echo, items))
  assert.equal(results.length, 1_000)
  for (const { index, item, reply } of results) {
    assert.equal(item, items[index])
    assert.equal(reply!.value.toString(), `item ${index}`)
  }
  assert.equal(new Set(results.map(({ index }) => index)).size, 1_000)
})

test('no more are in flight than concurrency says, and no more are asked for from the source', async () => {
  const asked: number[] = []
  const { requester, replier } = await setUp(unanswered)
  const results = requester.requestEach(echo, numbered(100, asked), { concurrency: 7 })
  const first = results.next()
  await until(() => replier.requests.length === 7)
  assert.equal(requester.stats().pending, 7)
  assert.equal(asked.length, 7)
  await answerTo(replier, 0)
  await first
  await until(() => replier.requests.length === 8)
  assert.equal(asked.length, 8)
})

test('results that nobody takes hold up the source', async () => {
  const asked: number[] = []
  const { requester } = await setUp()
  const results = requester.requestEach(echo, numbered(Infinity, asked), { concurrency: 5 })
  await results.next()
  await until(() => asked.length === 6)
  await delay(20)
  assert.equal(asked.length, 6, 'one was taken, five have ended')
  await results.return()
})

test('an error of one request is its result, and the others go on', async () => {
  const { requester } = await setUp()
  const operation = defineOperation({
    name: 'text',
    topic: 'requests',
    request: string(),
    reply: string(),
    key: (text) => {
      if (text === 'bad') throw new Error('no key for it')
      return text
    },
  })
  const results = await collect(requester.requestEach(operation, ['a', 'bad', 'c']))
  const failed = results.find(({ item }) => item === 'bad')!
  assert.equal(failed.error!.code, 'MILENA_OPTIONS_INVALID')
  assert.deepEqual(
    results
      .filter(({ reply }) => reply !== undefined)
      .map(({ item }) => item)
      .toSorted(),
    ['a', 'c'],
  )
})

test('break cancels what is in flight and closes the source', async () => {
  let closed = false
  let requests = 0
  const { requester } = await setUp(({ value }) => (requests++ === 0 ? { value } : undefined))
  const source = numbered(Infinity, [], () => (closed = true))
  for await (const result of requester.requestEach(echo, source, { concurrency: 10 })) {
    assert.equal(result.index, 0)
    break
  }
  assert.equal(closed, true)
  assert.equal(requester.stats().pending, 0)
  assert.ok(requester.stats().cancelled >= 1)
})

test('a signal cancels all: what was in flight is told, and then its reason', async () => {
  const { requester, replier } = await setUp(unanswered)
  const abort = new AbortController()
  const results = requester.requestEach(echo, numbered(Infinity, []), {
    concurrency: 100,
    signal: abort.signal,
  })
  const first = results.next()
  await until(() => replier.requests.length === 100)
  const reason = new Error('enough')
  abort.abort(reason)
  const told = [await first]
  while (told.length < 100) told.push(await results.next())
  for (const { value } of told) assert.equal(value!.error!.code, 'MILENA_CANCELLED')
  await assert.rejects(results.next(), reason)
  assert.deepEqual(await results.next(), { done: true, value: undefined })
})

test('a source that stands still holds up neither a signal nor break', async () => {
  const { requester } = await setUp()
  const still: AsyncIterable<Buffer> = {
    [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => undefined) }),
  }
  const abort = new AbortController()
  const results = requester.requestEach(echo, still, { signal: abort.signal })
  const next = results.next()
  abort.abort(new Error('enough'))
  await assert.rejects(next, /enough/)
  const others = requester.requestEach(echo, still)
  const taken = others.next()
  await others.return()
  assert.deepEqual(await taken, { done: true, value: undefined })
})

test('a source that throws ends the iteration, after the results of what it had given', async () => {
  const { requester } = await setUp()
  const seen: string[] = []
  await assert.rejects(async () => {
    for await (const { item } of requester.requestEach(echo, damaged())) seen.push(item.toString())
  }, /the file is damaged/)
  assert.deepEqual(seen.toSorted(), ['one', 'two'])
})

test('where others fill the requester it waits, and nothing is rejected', async () => {
  const { requester, replier, clock } = await setUp(unanswered, { maxPending: 2 })
  const others = [requester.request(echo, Buffer.from('x')), requester.request(echo, Buffer.from('y'))]
  await until(() => replier.requests.length === 2)
  const all = collect(requester.requestEach(echo, [Buffer.from('1'), Buffer.from('2'), Buffer.from('3')]))
  await delay(5)
  assert.equal(replier.requests.length, 2)
  await Promise.all([answerTo(replier, 0), answerTo(replier, 1)])
  await Promise.all(others)
  await clock.advance(10)
  for (const index of [2, 3, 4]) {
    // oxlint-disable no-await-in-loop -- one comes after the other
    await until(() => replier.requests.length > index)
    await answerTo(replier, index)
    // oxlint-enable no-await-in-loop
  }
  assert.equal((await all).filter(({ reply }) => reply !== undefined).length, 3)
  assert.equal(requester.stats().rejected, 0)
})

test('items of one key are sent in their order, also while there is no room', async () => {
  const { requester, replier } = await setUp(undefined, { maxPending: 3 })
  const keyed = defineOperation({
    name: 'keyed',
    topic: 'requests',
    request: bytes(),
    reply: bytes(),
    key: () => 'k',
  })
  const results = await collect(requester.requestEach(keyed, numbered(200, []), { concurrency: 50 }))
  assert.ok(results.every(({ reply }) => reply !== undefined))
  const sent = replier.requests.map(({ value }) => Number(value!.toString()))
  assert.deepEqual(
    sent,
    Array.from({ length: 200 }, (_, index) => index),
  )
})

test('a requester that is closed ends an endless source', async () => {
  const { requester } = await setUp()
  let taken = 0
  await assert.rejects(
    async () => {
      for await (const _ of requester.requestEach(echo, numbered(Infinity, []))) {
        if (++taken === 20) void requester.close()
      }
    },
    { code: 'MILENA_CLOSED' },
  )
  assert.ok(taken >= 20)
})

test('options of one item are beside those for all', async () => {
  const { requester, replier } = await setUp()
  const results = requester.requestEach(echo, [Buffer.from('1'), Buffer.from('2')], {
    headers: { tenant: 'blue' },
    requestOptions: (item, index) => ({ key: `${item.toString()}-${index}` }),
  })
  await collect(results)
  assert.deepEqual(replier.requests.map(({ key }) => key!.toString()).toSorted(), ['1-0', '2-1'])
  for (const { headers } of replier.requests)
    assert.ok(headers.some(([name, value]) => name.toString() === 'tenant' && value!.toString() === 'blue'))
})

test('all of them have one deadline: what is not sent by then is refused, each by itself', async () => {
  const { requester, replier, clock } = await setUp(unanswered)
  const deadline = clock.now() + 100
  const items = ['1', '2', '3'].map((text) => Buffer.from(text))
  const results = collect(requester.requestEach(echo, items, { deadline, timeout: 60_000, concurrency: 2 }))
  await until(() => replier.requests.length === 2)
  await clock.advance(100)
  const all = (await results).toSorted((one, other) => one.index - other.index)
  assert.deepEqual(
    all.map(({ error }) => [error!.code, error!.sent]),
    [
      ['MILENA_TIMEOUT', 'yes'],
      ['MILENA_TIMEOUT', 'yes'],
      ['MILENA_NOT_SENT', 'no'],
    ],
  )
})

test('what cannot work is refused at once, with what is wrong', async () => {
  const { requester } = await setUp()
  const wrong: [() => unknown, RegExp][] = [
    [() => requester.requestEach(echo, 5 as never), /items must be a list/],
    [() => requester.requestEach(echo, 'text' as never), /items must be a list/],
    [() => requester.requestEach({} as never, []), /defineOperation/],
    [() => requester.requestEach(echo, [], { concurrency: 0 }), /concurrency must be a whole number/],
    [() => requester.requestEach(echo, [], { deadline: Number.NaN }), /deadline must be milliseconds/],
    [() => requester.requestEach(echo, [], { concurency: 3 } as never), /concurency/],
    [
      () => requester.requestEach(echo, [], { signal: new AbortController() as never }),
      /signal must be an AbortSignal/,
    ],
    [
      () => requester.requestEach(echo, [], { requestOptions: 3 as never }),
      /requestOptions must be a function/,
    ],
  ]
  for (const [act, message] of wrong)
    assert.throws(act, (error) => error instanceof OptionsError && message.test(error.message))
})

test('a list of nothing ends at once', async () => {
  const { requester } = await setUp()
  assert.deepEqual(await collect(requester.requestEach(echo, [])), [])
})
