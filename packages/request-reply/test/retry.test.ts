/** Retry in place: how often, when, and who waits meanwhile. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { ReplyError } from '../src/errors.ts'
import type { HandlerContext } from '../src/replier/context.ts'
import type { Replier } from '../src/replier/replier.ts'
import { exponential, fixed } from '../src/retry/backoff.ts'
import { retry, type RetryOptions } from '../src/retry/retry.ts'
import { until } from './asking.ts'
import { ManualClock } from './manual-clock.ts'
import { echo, setUp, type Bench } from './replying.ts'

interface Retrying extends Bench {
  readonly clock: ManualClock
  readonly worker: Replier
  /** The tries, as `value#attempt@milliseconds`. */
  readonly tries: string[]
}

/** A replier of one slot whose handler fails while the request is one of `failing`. */
async function retrying(
  t: TestContext,
  options?: RetryOptions,
  fail: (request: string, context: HandlerContext) => void = () => {
    throw new Error('not now')
  },
): Promise<Retrying> {
  const bench = await setUp(t)
  const clock = new ManualClock()
  const tries: string[] = []
  const worker = bench.replier({ clock, concurrency: 1, clockTolerance: 0 })
  worker.handle(
    echo,
    (request, context) => {
      tries.push(`${request}#${context.attempt}@${clock.monotonic()}`)
      if (request.startsWith('fail')) fail(request, context)
      return request
    },
    { useRecords: [retry(options)] },
  )
  await worker.start()
  return { ...bench, clock, worker, tries }
}

test('3 retries 1 s apart, then the failure as it is', async (t) => {
  const { asking, clock, tries, worker, committed } = await retrying(t)
  const asked = await asking.ask('fail')
  await clock.advance(2_999)
  assert.deepEqual(asking.repliesTo(asked), [])
  assert.equal(worker.stats().inHand, 1)
  await clock.advance(1)
  const { error } = await asking.reply(asked)
  assert.deepEqual(error?.code, 'MILENA_HANDLER_FAILED')
  assert.deepEqual(tries, ['fail#1@0', 'fail#2@1000', 'fail#3@2000', 'fail#4@3000'])
  assert.equal(worker.stats().retried, 3)
  await clock.advance(1_000)
  assert.equal(committed(), 1)
})

test('while it waits its key waits, without a slot: other keys go on, and nothing is committed past it', async (t) => {
  const { asking, clock, tries, worker, committed } = await retrying(t, {}, (_request, { attempt }) => {
    if (attempt < 3) throw new Error('not now')
  })
  const failing = await asking.ask('fail', { key: 'a' })
  const behind = await asking.ask('behind', { key: 'a' })
  const other = await asking.ask('other', { key: 'b' })
  await clock.advance(1_500)
  assert.equal((await asking.reply(other)).text, 'other')
  assert.equal(worker.stats().running, 0)
  assert.equal(worker.health().stopped.length, 0)
  assert.equal(committed(), 0)
  assert.deepEqual(asking.repliesTo(behind), [])
  await clock.advance(1_000)
  assert.equal((await asking.reply(failing)).text, 'fail')
  assert.equal((await asking.reply(behind)).text, 'behind')
  assert.deepEqual(tries, ['fail#1@0', 'other#1@0', 'fail#2@1000', 'fail#3@2000', 'behind#1@2000'])
})

test('a try that cannot begin before the deadline is not made: the failure goes out at once', async (t) => {
  const { asking, clock, tries } = await retrying(t)
  const asked = await asking.ask('fail', { deadline: clock.now() + 1_999 })
  await clock.advance(1_000)
  assert.equal((await asking.reply(asked)).error?.code, 'MILENA_HANDLER_FAILED')
  assert.deepEqual(tries, ['fail#1@0', 'fail#2@1000'])
})

test('a try whose turn comes too late is refused, and does not say that nothing was done', async (t) => {
  const gate = Promise.withResolvers<void>()
  const { asking, clock, replier } = { ...(await setUp(t)), clock: new ManualClock() }
  const worker = replier({ clock, concurrency: 1, clockTolerance: 0 })
  worker.handle(
    echo,
    async (request) => {
      if (request === 'fail') throw new Error('not now')
      await gate.promise
      return request
    },
    { useRecords: [retry()] },
  )
  await worker.start()
  const failing = await asking.ask('fail', { key: 'a', deadline: clock.now() + 1_500 })
  await asking.ask('long', { key: 'b' })
  await clock.advance(2_000)
  gate.resolve()
  const { error } = await asking.reply(failing)
  assert.equal(error?.code, 'MILENA_DEADLINE_EXCEEDED')
  assert.match(error.message, /before try 2 began; what those before it have done is not known/)
})

test('none begins after maxTime', async (t) => {
  const { asking, clock, tries } = await retrying(t, { attempts: 100, maxTime: 2_500 })
  const asked = await asking.ask('fail')
  await clock.advance(2_000)
  await asking.reply(asked)
  assert.deepEqual(tries, ['fail#1@0', 'fail#2@1000', 'fail#3@2000'])
})

test('a ReplyError is final, unless it says retryable', async (t) => {
  const { asking, clock, tries } = await retrying(t, { attempts: 2 }, (request) => {
    throw new ReplyError('NO', 'no', { retryable: request === 'fail 2' })
  })
  const final = await asking.ask('fail 1')
  await clock.advance(0)
  assert.equal((await asking.reply(final)).error?.code, 'NO')
  const again = await asking.ask('fail 2')
  await clock.advance(1_000)
  assert.equal((await asking.reply(again)).error?.retryable, true)
  assert.deepEqual(tries, ['fail 1#1@0', 'fail 2#1@0', 'fail 2#2@1000'])
})

test('the application’s own classifier decides, with the error and the outcome', async (t) => {
  const failure = new TypeError('x is not a function')
  const seen: unknown[] = []
  const retryable: RetryOptions['retryable'] = (error, { code }) => seen.push(error, code) > 0
  const { asking, clock } = await retrying(t, { attempts: 2, retryable }, () => {
    throw failure
  })
  const asked = await asking.ask('fail')
  await clock.advance(1_000)
  await asking.reply(asked)
  assert.deepEqual(seen, [failure, 'MILENA_HANDLER_FAILED', failure, 'MILENA_HANDLER_FAILED'])
})

test('a turn in which a middleware decides without the handler is no try', async (t) => {
  const { replier, asking } = await setUp(t)
  const clock = new ManualClock()
  const worker = replier({ clock })
  const attempts: number[] = []
  let away = 2
  worker.useRecords((_request, next) => {
    if (away-- > 0) return { kind: 'stop', error: new Error('the store is away') }
    return next()
  })
  worker.handle(
    echo,
    (_request, { attempt }) => {
      attempts.push(attempt)
      throw new Error('not now')
    },
    { useRecords: [retry({ attempts: 2 })] },
  )
  await worker.start()
  const asked = await asking.ask('x')
  await clock.advance(10_000)
  await asking.reply(asked)
  assert.deepEqual(attempts, [1, 2])
})

test('what was thrown is known to the middleware outside, also in a turn without a try', async (t) => {
  const { replier, asking } = await setUp(t)
  const clock = new ManualClock()
  const failure = new Error('not now')
  const seen: unknown[] = []
  const worker = replier({ clock })
  const failed = new Set<unknown>()
  worker.useRecords(async (request, next) => {
    if (failed.has(request.record)) {
      seen.push(request.error, request.attempt)
      return { kind: 'error', code: 'GIVEN_UP', message: 'given up' }
    }
    await next()
    seen.push(request.error, request.attempt)
    failed.add(request.record)
    return { kind: 'stop', error: new Error('cannot be written') }
  })
  worker.handle(echo, () => {
    throw failure
  })
  await worker.start()
  const asked = await asking.ask('x')
  await clock.advance(1_000)
  assert.equal((await asking.reply(asked)).error?.code, 'GIVEN_UP')
  assert.deepEqual(seen, [failure, 1, failure, 2])
})

test('closing does not wait for a retry that is far away: the next replier begins anew', async (t) => {
  const { asking, clock, worker, tries, replier } = await retrying(t, { backoff: fixed(3_600_000) })
  const asked = await asking.ask('fail')
  await clock.advance(0)
  await until('it has failed', () => tries.length === 1)
  let closed = false
  const closing = worker.close({ timeout: 60_000 }).then(() => (closed = true))
  await clock.advance(100)
  assert.equal(closed, true)
  await closing
  const next = replier()
  next.handle(echo, (request, { attempt }) => `${request}#${attempt}`)
  await next.start()
  assert.equal((await asking.reply(asked)).text, 'fail#1')
})

const half = (): number => 0.5

test('pauses: fixed, and exponential with full jitter and an end', () => {
  assert.deepEqual(
    [1, 2, 3].map((tries) => fixed(1_000)(tries, half)),
    [1_000, 1_000, 1_000],
  )
  const plain = exponential({ first: 100, most: 1_000, jitter: false })
  assert.deepEqual(
    [1, 2, 3, 4, 5, 2_000].map((tries) => plain(tries, half)),
    [100, 200, 400, 800, 1_000, 1_000],
  )
  const jittered = exponential({ first: 100, factor: 3, most: 1_000 })
  assert.deepEqual(
    [1, 2, 3].map((tries) => jittered(tries, half)),
    [50, 150, 450],
  )
  assert.equal(
    jittered(1, () => 0),
    0,
  )
})

const random = (length: number): Buffer => Buffer.alloc(length, 0x80)

test('the random bytes that are given make the jitter', async (t) => {
  const backoff = exponential({ first: 1_000, most: 1_000 })
  const { asking, clock, tries } = await retrying(t, { attempts: 2, backoff, random })
  const asked = await asking.ask('fail')
  await clock.advance(1_000)
  await asking.reply(asked)
  const [, second] = tries
  const at = Number(second!.split('@')[1])
  assert.ok(at > 500 && at < 504, second)
})

test('options that cannot work are refused, all at once', () => {
  const options = { attempts: 0, maxTime: -1, backoff: 5, often: true } as unknown as RetryOptions
  assert.throws(() => retry(options), {
    code: 'MILENA_OPTIONS_INVALID',
    message: /no option often.*attempts must be.*maxTime must be.*backoff must be a function/,
  })
  assert.throws(() => fixed(-1), { code: 'MILENA_OPTIONS_INVALID' })
  assert.throws(() => exponential({ first: 1, most: Number.NaN, factor: 0 }), {
    code: 'MILENA_OPTIONS_INVALID',
  })
})
