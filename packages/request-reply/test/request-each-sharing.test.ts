import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../src/clock.ts'
import { OptionsError } from '../src/errors.ts'
import type { EachResult } from '../src/requester/each.ts'
import { readTimeout } from '../src/wire/milena.ts'
import { echo, setUp, until } from './requesting.ts'

const unanswered = (): undefined => undefined
const item = (text: unknown): Buffer => Buffer.from(String(text))

function* endless(): Generator<Buffer> {
  for (let number = 0; ; number++) yield item(number)
}

async function collect<Item, Value>(results: AsyncIterable<EachResult<Item, Value>>) {
  const all: EachResult<Item, Value>[] = []
  for await (const result of results) all.push(result)
  return all
}

test('an iteration without an end that fills the requester leaves room for others', async () => {
  const { requester } = await setUp(undefined, { clock: systemClock, maxPending: 20 })
  let taken = 0
  let enough = false
  const first = (async () => {
    for await (const _ of requester.requestEach(echo, endless(), { concurrency: 1_000 }))
      if (++taken > 0 && enough) break
  })()
  await until(() => taken > 100)
  const items = Array.from({ length: 100 }, (_, number) => item(number))
  const others = await Promise.all([1, 2].map(() => collect(requester.requestEach(echo, items))))
  enough = true
  await first
  for (const results of others) assert.ok(results.every(({ reply }) => reply !== undefined))
  assert.deepEqual(
    others.map(({ length }) => length),
    [100, 100],
  )
})

test('room that a plain request leaves is told: no timer looks for it', async () => {
  for (const ended of ['answered', 'cancelled'] as const) {
    const { requester, replier, clock } = await setUp(unanswered, { maxPending: 1 })
    const cancel = new AbortController()
    const plain = requester.request(echo, item('plain'), { signal: cancel.signal }).catch(() => {})
    await until(() => replier.requests.length === 1)
    const timers = clock.timers
    const each = collect(requester.requestEach(echo, [item('each')]))
    await new Promise(setImmediate)
    assert.equal(clock.timers, timers)
    if (ended === 'answered') await replier.answer(replier.requests[0]!, { value: item('done') })
    else cancel.abort()
    await plain
    await until(() => replier.requests.length === 2)
    await replier.answer(replier.requests[1]!, { value: item('done') })
    assert.equal((await each)[0]!.reply?.value.toString(), 'done')
  }
})

test('one that is ended while it waits for room lets the next one have its turn', async () => {
  const { requester, replier } = await setUp(unanswered, { maxPending: 1 })
  const other = requester.request(echo, item('other'))
  await until(() => replier.requests.length === 1)
  const first = requester.requestEach(echo, [item('first')])
  void first.next()
  await new Promise(setImmediate)
  const second = collect(requester.requestEach(echo, [item('second')]))
  await new Promise(setImmediate)
  await first.return()
  await replier.answer(replier.requests[0]!, { value: item('done') })
  await other
  await until(() => replier.requests.length === 2)
  await replier.answer(replier.requests[1]!, { value: item('done') })
  assert.equal((await second)[0]!.item.toString(), 'second')
})

test('an item for whose bytes there is no room yet waits, and is not counted as rejected', async () => {
  const { requester, replier, clock } = await setUp(unanswered, { maxPendingBytes: 3_000 })
  const other = requester.request(echo, Buffer.alloc(2_000))
  await until(() => replier.requests.length === 1)
  const all = collect(requester.requestEach(echo, [Buffer.alloc(1_500)]))
  for (let times = 0; times < 5; times++) await clock.advance(10)
  assert.equal(replier.requests.length, 1)
  await replier.answer(replier.requests[0]!, { value: item('done') })
  await other
  await until(() => replier.requests.length === 2)
  await replier.answer(replier.requests[1]!, { value: item('done') })
  assert.equal((await all)[0]!.reply!.value.toString(), 'done')
  assert.equal(requester.stats().rejected, 0)
})

test('an item that is too large for the requester at all is refused at once, and the others go on', async () => {
  const { requester } = await setUp(undefined, { maxPendingBytes: 3_000 })
  const items = [Buffer.alloc(5_000), item('small')]
  const results = await collect(requester.requestEach(echo, items))
  const codes = results.map((result) => [result.index, result.error?.code])
  assert.deepEqual(Object.fromEntries(codes), { 0: 'MILENA_RECORD_TOO_LARGE', 1: undefined })
  assert.equal(requester.stats().rejected, 1)
})

test('what is said of one item counts before what is said of all, and what is not said is as for all', async () => {
  const { requester, replier, clock } = await setUp(unanswered)
  const all = collect(
    requester.requestEach(echo, [item(1)], {
      timeout: 100,
      headers: { tenant: 'blue', source: 'list' },
      requestOptions: () => ({ timeout: undefined, headers: { source: 'item' } }),
    }),
  )
  await until(() => replier.requests.length === 1)
  const { headers } = replier.requests[0]!
  const given = headers.map(([name, value]) => `${name.toString()}: ${String(value)}`)
  assert.deepEqual(given.slice(0, 2), ['tenant: blue', 'source: item'])
  assert.equal(readTimeout(headers), 100)
  await clock.advance(100)
  assert.equal((await all)[0]!.error!.code, 'MILENA_TIMEOUT')
})

test('the signal of one item cancels that one alone, also when it is not of this realm', async () => {
  const { requester, replier } = await setUp(unanswered)
  const aborts = [new AbortController(), new AbortController()]
  const signals = aborts.map(({ signal }, index) => (index === 0 ? signal : new Proxy(signal, plain)))
  const all = requester.requestEach(echo, [item(0), item(1), item(2)], {
    requestOptions: (_, index) => ({ signal: signals[index] }),
  })
  const first = all.next()
  await until(() => replier.requests.length === 3)
  aborts[0]!.abort(new Error('the first'))
  assert.deepEqual([(await first).value!.index, (await first).value!.error!.code], [0, 'MILENA_CANCELLED'])
  const second = all.next()
  aborts[1]!.abort(new Error('the second'))
  assert.deepEqual([(await second).value!.index, (await second).value!.error!.code], [1, 'MILENA_CANCELLED'])
  assert.equal(requester.stats().pending, 1)
  await all.return()
})

/** Nothing that Node would take for a signal of its own. */
const plain: ProxyHandler<AbortSignal> = {
  get(target, name) {
    const found: unknown = Reflect.get(target, name, target)
    return typeof found === 'function' ? (found.bind(target) as unknown) : found
  },
  getPrototypeOf: () => null,
}

test('what requestOptions gives that is none ends the iteration, and says so', async () => {
  const { requester } = await setUp()
  const wrong: [unknown, RegExp][] = [
    [Promise.resolve({ key: 'a' }), /requestOptions must return options, not a promise/],
    [5, /requestOptions must return options, not/],
    [{ signal: new AbortController() }, /signal must be an AbortSignal/],
  ]
  for (const [given, message] of wrong) {
    const results = requester.requestEach(echo, [item(1)], { requestOptions: () => given as never })
    await assert.rejects(
      collect(results),
      (error) => error instanceof OptionsError && message.test(error.message),
    )
  }
  assert.equal(requester.stats().accepted, 0)
})
