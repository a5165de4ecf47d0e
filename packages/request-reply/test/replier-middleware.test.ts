/** Middleware on both levels: around the record as it came, and around the handler with its values. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OptionsError } from '../src/errors.ts'
import type { Middleware } from '../src/replier/middleware.ts'
import type { RawRequest } from '../src/replier/raw-request.ts'
import type { RecordMiddleware } from '../src/replier/record-middleware.ts'
import { lastHeader } from '../src/wire/headers.ts'
import { until } from './asking.ts'
import { echo, setUp } from './replying.ts'

test('record middleware: sees the record as it came, and the encoded reply; the first is outermost', async (t) => {
  const { replier, asking } = await setUp(t)
  const seen: unknown[] = []
  const requests: RawRequest[] = []
  const named =
    (name: string): RecordMiddleware =>
    async (request, next) => {
      seen.push(`${name} in`)
      requests.push(request)
      const outcome = await next()
      seen.push(`${name} out ${outcome.kind === 'reply' && String(outcome.value)}`)
      return outcome
    }
  const worker = replier()
  worker.useRecords(named('outer')).useRecords(named('inner'))
  worker.handle(
    echo,
    (request) => {
      seen.push(request)
      return `${request}!`
    },
    { useRecords: [named('own')] },
  )
  await worker.start()
  const deadline = Date.now() + 60_000
  const asked = await asking.ask('x', { key: 'k', deadline, operation: 'echo' })
  assert.equal((await asking.reply(asked)).text, 'x!')
  assert.deepEqual(seen, [
    'outer in',
    'inner in',
    'own in',
    'x',
    'own out x!',
    'inner out x!',
    'outer out x!',
  ])
  const [request] = requests
  assert.ok(request !== undefined)
  assert.equal(request.operation, 'echo')
  assert.equal(request.correlationId?.toString('hex'), asked.id)
  assert.deepEqual(request.replyTo, { topic: 'shop_reply' })
  assert.equal(request.deadline, deadline)
  assert.equal(request.attempt, 1)
  assert.equal(String(request.key), 'k')
  assert.equal(String(request.value), '"x"')
  assert.equal(request.headers.text('milena-operation'), 'echo')
  const { topic, partition, offset } = request
  assert.deepEqual({ topic, partition, offset }, asked.position)
  assert.equal(request.signal.aborted, false)
})

test('record middleware: sees also what would be passed over, and what cannot be decoded', async (t) => {
  const { replier, asking, committed } = await setUp(t)
  const seen: string[] = []
  const worker = replier()
  worker.useRecords(async ({ operation }, next) => {
    const outcome = await next()
    const why = outcome.kind === 'passed over' ? outcome.reason : outcome.kind === 'error' && outcome.code
    seen.push(`${operation}: ${outcome.kind} ${why}`)
    return outcome
  })
  worker.handle(echo, (request) => request)
  await worker.start()
  await asking.ask('x', { correlationId: null })
  await asking.ask('x', { replyTo: { topic: 'bank_reply' } })
  await asking.answerTo('x', { operation: 'nobody' })
  await asking.ask('x', { operation: 'nobody', replyTo: null })
  await asking.answerTo(Buffer.from('{'))
  await asking.answerTo('x', { deadline: 1 })
  assert.deepEqual(seen.toSorted(), [
    'echo: error MILENA_CODEC_FAILED',
    'echo: error MILENA_DEADLINE_EXCEEDED',
    'echo: passed over reply-topic-refused',
    'echo: passed over unanswerable',
    'undefined: error MILENA_OPERATION_UNKNOWN',
    'undefined: passed over operation-unknown',
  ])
  await until('all are committed', () => committed() === 6)
})

test('record middleware: answers without the handler, however late, and can hold a record back', async (t) => {
  const { replier, asking, committed } = await setUp(t)
  const worker = replier()
  let tries = 0
  worker.useRecords((request, next) => {
    if (String(request.value) === '"stored"')
      return {
        kind: 'reply',
        value: Buffer.from('from store'),
        headers: [[Buffer.from('h'), Buffer.from('v')]],
      }
    if (String(request.value) === '"again"' && tries++ < 2)
      return { kind: 'later', notBefore: Date.now() + 5 }
    if (String(request.value) === '"elsewhere"') return { kind: 'handed over' }
    return next()
  })
  worker.handle(echo, (request) => request)
  await worker.start()
  const { text, record } = await asking.answerTo('stored', { deadline: 1 })
  assert.equal(text, 'from store')
  assert.equal(String(lastHeader(record.headers, Buffer.from('h'))), 'v')
  assert.equal((await asking.answerTo('again')).text, 'again')
  assert.equal(tries, 3)
  const silent = await asking.ask('elsewhere')
  await until('all are committed', () => committed() === 3)
  assert.deepEqual(asking.repliesTo(silent), [])
})

test('record middleware: next() handles a record once, and never rejects', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier()
  let handled = 0
  worker.useRecords(async (_request, next) => {
    const [first, second] = await Promise.all([next(), next()])
    assert.equal(first, second)
    return next()
  })
  worker.handle(echo, (request) => {
    handled++
    if (request === 'no') throw new Error('no')
    return request
  })
  await worker.start()
  assert.equal((await asking.answerTo('x')).text, 'x')
  assert.equal((await asking.answerTo('no')).error?.code, 'MILENA_HANDLER_FAILED')
  assert.equal(handled, 2)
})

const withUser: Middleware<{ user: string }> = (request, { key }, next) =>
  next(`${String(request)}?`, { user: String(key) })
const retrying: Middleware = async (_request, _context, next) => {
  try {
    return await next()
  } catch {
    return next()
  }
}
const withLevel: Middleware<{ level: number }> = (_request, _context, next) => next(undefined, { level: 7 })

test('middleware: replaces the request, adds to the context, and retries in place', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier()
  let tries = 0
  const known = worker.use(withUser).use(retrying)
  known.handle(
    echo,
    (request, { user, level }) => {
      if (tries++ === 0) throw new Error('the first time')
      return `${request} of ${user} at ${level}`
    },
    { use: [withLevel] },
  )
  await worker.start()
  assert.equal((await asking.answerTo('x', { key: 'me' })).text, 'x? of me at 7')
  assert.equal(tries, 2)
})

test('middleware: cannot take the place of what every context has', async (t) => {
  const { replier, asking, warned } = await setUp(t)
  const names = ['correlationId', 'deadline', 'signal', '__proto__', 'constructor', 'operation']
  const worker = replier()
  worker.use<{ any: object }>((request, { key }, next) =>
    next(request, JSON.parse(`{ "${String(key)}": {} }`) as { any: object }),
  )
  worker.handle(echo, (request) => request)
  await worker.start()
  for (const key of names)
    assert.equal((await asking.answerTo('x', { key })).error?.code, 'MILENA_HANDLER_FAILED')
  assert.equal(warned.length, names.length)
  assert.match(String(warned[0]!.details.error), /it adds "correlationId", which every context has/)
  assert.equal((await asking.answerTo('x', { key: 'mine' })).text, 'x')
})

test('middleware that is none is refused, where it is given', async (t) => {
  const { replier } = await setUp(t)
  const worker = replier()
  for (const options of [{ use: 'x' }, { use: [7] }, { useRecords: {} }, { useRecord: [] }])
    assert.throws(() => worker.handle(echo, (request) => request, options as never), OptionsError)
  assert.throws(() => worker.use(7 as never), OptionsError)
  assert.throws(() => worker.useRecords(undefined as never), OptionsError)
})
