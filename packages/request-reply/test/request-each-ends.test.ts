import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { systemClock } from '../src/clock.ts'
import type { EachResult } from '../src/requester/each.ts'
import type { RequestEachOptions } from '../src/requester/each-options.ts'
import type { RequesterOptions } from '../src/requester/options.ts'
import { echo, setUp, StagedRouting, until } from './requesting.ts'

const unanswered = (): undefined => undefined
const item = (text: unknown): Buffer => Buffer.from(String(text))
const still: AsyncIterable<Buffer> = {
  [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => undefined) }),
}

function* endless(): Generator<Buffer> {
  for (let number = 0; ; number++) yield item(number)
}

async function* waiting(): AsyncGenerator<Buffer> {
  yield item(1)
  await new Promise(() => undefined)
}

function* damaged(): Generator<Buffer> {
  yield item(1)
  throw new Error('the file is damaged')
}

/** Nobody answers; its results are taken as they come. */
async function iterating(
  items: Iterable<Buffer> | AsyncIterable<Buffer>,
  each: RequestEachOptions<Buffer>,
  options: Partial<RequesterOptions> = {},
) {
  const { requester, replier } = await setUp(unanswered, options)
  const results: EachResult<Buffer, Buffer>[] = []
  const ended = (async () => {
    for await (const result of requester.requestEach(echo, items, each)) results.push(result)
  })()
  ended.catch(() => undefined)
  return { requester, replier, results, ended }
}

test('a signal cancels what is in flight when the source has come to its end already', async () => {
  const abort = new AbortController()
  const { requester, results, ended } = await iterating([item(1), item(2)], { signal: abort.signal })
  await until(() => requester.stats().pending === 2)
  abort.abort(new Error('enough'))
  await assert.rejects(ended, /enough/)
  assert.deepEqual(
    results.map(({ error }) => error!.code),
    ['MILENA_CANCELLED', 'MILENA_CANCELLED'],
  )
})

test('a signal cancels what is in flight when the source has thrown, and the iteration says what that threw', async () => {
  const abort = new AbortController()
  const { requester, results, ended } = await iterating(damaged(), { signal: abort.signal })
  await until(() => requester.stats().pending === 1)
  abort.abort(new Error('enough'))
  await assert.rejects(ended, /the file is damaged/)
  assert.equal(results[0]!.error!.code, 'MILENA_CANCELLED')
})

test('nothing listens to a signal any more when all has ended, however it did', async () => {
  const { requester } = await setUp()
  const { signal } = new AbortController()
  await requester.requestEach(echo, [item(1)], { signal }).return()
  for await (const _ of requester.requestEach(echo, [item(1)], { signal }));
  for await (const _ of requester.requestEach(echo, endless(), { signal })) break
  for await (const _ of requester.requestEach(echo, [item(1)], { requestOptions: () => ({ signal }) }));
  assert.equal(getEventListeners(signal, 'abort').length, 0)
})

test('a source that stands still does not hold up a requester that is closed', async () => {
  const { requester, ended } = await iterating(still, {}, { clock: systemClock })
  await requester.close()
  await assert.rejects(ended, { code: 'MILENA_CLOSED' })
  await assert.rejects(requester.requestEach(echo, still).next(), { code: 'MILENA_CLOSED' })
})

test('a generator that waits for its next item for ever holds up neither break nor a signal', async () => {
  const { requester } = await setUp()
  for await (const _ of requester.requestEach(echo, waiting())) break
  const abort = new AbortController()
  const results = requester.requestEach(echo, waiting(), { signal: abort.signal })
  await results.next()
  const next = results.next()
  abort.abort(new Error('enough'))
  await assert.rejects(next, /enough/)
})

test('a routing that says of itself that it is closed ends a source without an end', async () => {
  const routing = new StagedRouting()
  const { requester } = await setUp(undefined, { replyRouting: routing })
  const results = requester.requestEach(echo, endless(), { concurrency: 1 })
  await results.next()
  routing.troubles = [{ kind: 'closed', since: 0, error: new Error('it is closed') }]
  await assert.rejects(
    async () => {
      for (let times = 0; times < 10; times++) await results.next()
    },
    { code: 'MILENA_CLOSED' },
  )
})

test('a source that stands still does not hold up one whose transport was closed', async () => {
  const routing = new StagedRouting()
  const { ended } = await iterating(still, {}, { replyRouting: routing })
  routing.tell({ kind: 'closed', since: 0, error: new Error('the transport was closed') })
  await assert.rejects(ended, { code: 'MILENA_CLOSED' })
})

test('a source without an end lets everything else run, though each of its items is refused', async () => {
  const routing = new StagedRouting()
  const { requester } = await setUp(unanswered, { replyRouting: routing })
  routing.tell({ kind: 'unreachable', since: 0, error: new Error('the brokers are away') })
  let ran = false
  let refused = 0
  setTimeout(() => (ran = true), 1)
  for await (const { error } of requester.requestEach(echo, endless())) {
    assert.equal(error!.code, 'MILENA_NOT_RECEIVING')
    if (ran) break
    assert.ok(++refused < 100_000, 'the timer has not fired')
  }
})

test('a source may end the iteration, or take its results, while it is asked for its first item', async () => {
  const { requester } = await setUp()
  let inside: Promise<unknown> = Promise.resolve()
  function* ending(): Generator<Buffer> {
    inside = ended.return()
    yield item(1)
  }
  const ended = requester.requestEach(echo, ending())
  assert.deepEqual(await ended.next(), { done: true, value: undefined })
  await inside
  function* taking(): Generator<Buffer> {
    inside = taken.next()
    for (const number of [1, 2, 3]) yield item(number)
  }
  const taken = requester.requestEach(echo, taking())
  const results = [await taken.next(), await inside, await taken.next()] as { value: { index: number } }[]
  assert.deepEqual(
    results.map(({ value }) => value.index).toSorted((a, b) => a - b),
    [0, 1, 2],
  )
  assert.equal((await taken.next()).done, true)
})

test('who asks for many results at once gets each of them, and then the end', async () => {
  const { requester } = await setUp()
  const results = requester.requestEach(echo, [item(1), item(2)])
  const taken = await Promise.all([results.next(), results.next(), results.next(), results.next()])
  assert.deepEqual(
    taken.map(({ done }) => done),
    [false, false, true, true],
  )
})
