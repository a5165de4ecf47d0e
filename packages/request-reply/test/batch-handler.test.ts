import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ReplierOptions } from '../src/replier/options.ts'
import { OptionsError, ReplyError } from '../src/errors.ts'
import { batchHandler, type BatchWork } from '../src/replier/batch-handler.ts'
import { until } from './asking.ts'
import { echo, setUp, type Bench } from './replying.ts'

/** A replier whose batches are seen; each waits until it is let go on. */
async function batching(
  { replier }: Bench,
  options?: Parameters<typeof batchHandler>[1],
  work: BatchWork<string, string> = (requests) => requests.map(({ value }) => `did ${value}`),
  settings: Partial<ReplierOptions> = {},
) {
  const batches: string[][] = []
  const gates: (() => void)[] = []
  let open = false
  const worker = replier({ concurrency: 100, ...settings })
  worker.handle(
    echo,
    batchHandler<string, string>(async (requests) => {
      batches.push(requests.map(({ value }) => value))
      if (!open) await new Promise<void>((resolve) => gates.push(resolve))
      return work(requests)
    }, options),
  )
  await worker.start()
  return {
    batches,
    worker,
    letGo: () => {
      open = true
      for (const gate of gates.splice(0)) gate()
    },
  }
}

test('what begins while a batch runs is the next one, each request with its own reply', async (t) => {
  const bench = await setUp(t)
  const { batches, letGo } = await batching(bench)
  const first = await bench.asking.ask('a', { key: 'a' })
  await until('the first batch runs', () => batches.length === 1)
  const others = await Promise.all(['b', 'c', 'd'].map((name) => bench.asking.ask(name, { key: name })))
  letGo()
  const replies = await Promise.all([first, ...others].map((asked) => bench.asking.reply(asked)))
  assert.deepEqual(
    replies.map(({ text }) => text),
    ['did a', 'did b', 'did c', 'did d'],
  )
  assert.deepEqual(batches[0], ['a'])
  assert.equal(batches.flat().length, 4)
  assert.ok(batches.length <= 4)
})

test('no batch has more requests than size, and no more run at once than running', async (t) => {
  const bench = await setUp(t)
  const { batches, letGo } = await batching(bench, { size: 3, running: 2 })
  const asked = []
  for (let i = 0; i < 20; i++) asked.push(await bench.asking.ask(String(i), { key: String(i) }))
  await until('two batches run', () => batches.length === 2)
  letGo()
  await Promise.all(asked.map((one) => bench.asking.reply(one)))
  assert.ok(batches.every(({ length }) => length <= 3))
  assert.ok(batches.some(({ length }) => length === 3))
})

test('an error among the outcomes is the outcome of its own request alone', async (t) => {
  const bench = await setUp(t)
  const { letGo } = await batching(bench, {}, (requests) =>
    requests.map(({ value }) =>
      value === 'bad' ? new ReplyError('NOT_ACTIVE', 'there is nothing to end', { effect: 'none' }) : value,
    ),
  )
  letGo()
  const [good, bad] = [
    await bench.asking.ask('good', { key: '1' }),
    await bench.asking.ask('bad', { key: '2' }),
  ]
  assert.equal((await bench.asking.reply(good)).text, 'good')
  const { error } = await bench.asking.reply(bad)
  assert.equal(error!.code, 'NOT_ACTIVE')
  assert.equal(error!.effect, 'none')
})

test('what the work throws is the outcome of every request, and the next batch runs', async (t) => {
  const bench = await setUp(t)
  let times = 0
  const { letGo } = await batching(bench, {}, (requests) => {
    if (++times === 1) throw new Error('the database is away')
    return requests.map(({ value }) => value)
  })
  letGo()
  assert.equal((await bench.asking.answerTo('a')).error!.code, 'MILENA_HANDLER_FAILED')
  assert.equal((await bench.asking.answerTo('b')).text, 'b')
})

test('outcomes that do not fit the requests are a failure of all, and say so to whoever runs the replier', async (t) => {
  const bench = await setUp(t)
  const { letGo } = await batching(bench, {}, () => [])
  letGo()
  assert.equal((await bench.asking.answerTo('a')).error!.code, 'MILENA_HANDLER_FAILED')
  assert.match((bench.warned[0]!.error as Error).message, /1 requests, and it returned 0 outcomes/)
})

test('of one key there is one request in a batch, so their order is kept', async (t) => {
  const bench = await setUp(t)
  const { batches, letGo } = await batching(bench)
  const asked = []
  for (let i = 0; i < 30; i++) asked.push(await bench.asking.ask(`${i % 2}:${i}`, { key: `k${i % 2}` }))
  letGo()
  await Promise.all(asked.map((one) => bench.asking.reply(one)))
  for (const batch of batches) assert.equal(new Set(batch.map((name) => name[0])).size, batch.length)
  for (const key of ['0', '1']) {
    const order = batches
      .flat()
      .filter((name) => name.startsWith(`${key}:`))
      .map((name) => Number(name.slice(2)))
    assert.deepEqual(
      order,
      order.toSorted((a, b) => a - b),
    )
    assert.equal(order.length, 15)
  }
})

test('a request whose deadline passes while another batch runs is in none, and its requester is told that', async (t) => {
  const bench = await setUp(t)
  const { batches, letGo } = await batching(bench, {}, undefined, { clockTolerance: 0 })
  const first = await bench.asking.ask('a', { key: 'a' })
  await until('the first batch runs', () => batches.length === 1)
  const deadline = Date.now() + 100
  const late = await bench.asking.ask('b', { key: 'b', deadline })
  const other = await bench.asking.ask('c', { key: 'c' })
  await until('the deadline has passed', () => Date.now() > deadline + 5)
  letGo()
  const { error } = await bench.asking.reply(late)
  assert.equal(error!.code, 'MILENA_DEADLINE_EXCEEDED')
  assert.match(error!.message, /before its batch began; this try did nothing/)
  assert.equal((await bench.asking.reply(other)).text, 'did c')
  await bench.asking.reply(first)
  assert.deepEqual(batches, [['a'], ['c']])
  assert.deepEqual(bench.warned, [])
})

test('a request that was answered by handlerTimeout before its batch began is in none', async (t) => {
  const bench = await setUp(t)
  const { batches, letGo } = await batching(bench, {}, undefined, { handlerTimeout: 50 })
  const [first, second] = [
    await bench.asking.ask('a', { key: 'a' }),
    await bench.asking.ask('b', { key: 'b' }),
  ]
  await until('the first batch runs', () => batches.length === 1)
  for (const asked of [first, second])
    assert.equal((await bench.asking.reply(asked)).error!.code, 'MILENA_HANDLER_TIMEOUT')
  const before = batches.flat().length
  letGo()
  assert.equal((await bench.asking.answerTo('c', { key: 'c' })).text, 'did c')
  assert.deepEqual(batches.flat().slice(before), ['c'])
})

test('a request that waits for its batch when its replier lets go of it is in none', async (t) => {
  const bench = await setUp(t)
  const { batches, worker, letGo } = await batching(bench)
  await bench.asking.ask('a', { key: 'a' })
  await until('the first batch runs', () => batches.length === 1)
  await bench.asking.ask('b', { key: 'b' })
  await until('both are in hand', () => worker.health().slotsTaken === 2)
  await worker.close({ timeout: 0 })
  letGo()
  for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
  assert.deepEqual(batches, [['a']])
})

test('options that cannot work are refused', () => {
  const wrong: [() => unknown, RegExp][] = [
    [() => batchHandler(5 as never), /its work must be a function/],
    [() => batchHandler(() => [], { size: 0 }), /size must be a whole number/],
    [() => batchHandler(() => [], { running: 1.5 }), /running must be a whole number/],
    [() => batchHandler(() => [], { sise: 3 } as never), /sise/],
  ]
  for (const [act, message] of wrong)
    assert.throws(act, (error) => error instanceof OptionsError && message.test(error.message))
})
