/** What becomes of a request whose reply is late, or that is given up. */
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { test } from 'node:test'
import { MilenaError, RemoteError, TimeoutError } from '../src/errors.ts'
import { errorHeaders } from '../src/wire/milena.ts'
import { add, code, echo, opened, setUp, until } from './requesting.ts'

test('a timeout is unknown, and the late reply is handed over with its request, once', async () => {
  const { requester, replier, clock, late } = await setUp(() => undefined)
  const outcome = assert.rejects(
    requester.request(add, { a: 1, b: 2 }, { timeout: 100 }),
    (error: unknown) => {
      assert.ok(error instanceof TimeoutError)
      assert.equal(error.code, 'MILENA_TIMEOUT')
      assert.equal(error.outcomeKnown, false)
      assert.equal(error.sent, 'yes')
      return true
    },
  )
  await until(() => replier.requests.length === 1)
  await clock.advance(100)
  await outcome
  await clock.advance(50)
  await replier.answer(replier.requests[0]!, { value: Buffer.from('{"sum":3}') })
  await replier.answer(replier.requests[0]!, { value: Buffer.from('{"sum":3}') })
  await until(() => requester.stats().duplicate === 1)
  assert.equal(late.length, 1)
  assert.deepEqual(late[0]!.request, { a: 1, b: 2 })
  assert.deepEqual(late[0]!.reply?.value, { sum: 3 })
  assert.equal(late[0]!.roundTrip, 150)
  const stats = requester.stats()
  assert.deepEqual(
    [stats.timedOut, stats.late, stats.duplicate, stats.foreign, stats.replied],
    [1, 1, 1, 0, 0],
  )
})

test('a late error reply is handed over as the error', async () => {
  const { requester, replier, clock, late } = await setUp(() => undefined)
  const outcome = assert.rejects(
    requester.request(add, { a: 1, b: 2 }, { timeout: 100 }),
    code('MILENA_TIMEOUT'),
  )
  await until(() => replier.requests.length === 1)
  await clock.advance(100)
  await outcome
  await replier.answer(replier.requests[0]!, {
    value: null,
    headers: errorHeaders({ code: 'DECLINED', message: 'no' }),
  })
  await until(() => late.length === 1)
  assert.equal(late[0]!.reply, undefined)
  assert.ok(late[0]!.error instanceof RemoteError)
})

test('duplicate, foreign and late replies are counted apart', async () => {
  const { requester, replier, broker } = await setUp()
  await requester.request(echo, Buffer.from('mine'))
  await replier.answer(replier.requests[0]!, { value: Buffer.from('mine') })
  const stranger = broker.connect()
  opened.push(stranger)
  await stranger.send({ topic: 'replies', partition: 2, key: null, value: null, headers: [] })
  await until(() => requester.stats().recordsRead === 3)
  const { duplicate, foreign, late, replied, ownRecordsRead } = requester.stats()
  assert.deepEqual(
    { duplicate, foreign, late, replied, ownRecordsRead },
    { duplicate: 1, foreign: 1, late: 0, replied: 1, ownRecordsRead: 2 },
  )
})

test('each request has its own timeout', async () => {
  const { requester, clock, replier } = await setUp(() => undefined, { timeout: 300 })
  const ended: string[] = []
  const watch = (name: string, request: Promise<unknown>): Promise<void> =>
    request.then(
      () => void ended.push(`${name} replied`),
      () => void ended.push(name),
    )
  const all = [
    watch('default', requester.request(echo, Buffer.alloc(1))),
    watch('short', requester.request(echo, Buffer.alloc(1), { timeout: 100 })),
    watch('long', requester.request(echo, Buffer.alloc(1), { timeout: 500 })),
  ]
  await until(() => replier.requests.length === 3)
  await clock.advance(99)
  assert.deepEqual(ended, [])
  await clock.advance(1)
  assert.deepEqual(ended, ['short'])
  await clock.advance(200)
  assert.deepEqual(ended, ['short', 'default'])
  await clock.advance(200)
  assert.deepEqual(ended, ['short', 'default', 'long'])
  await Promise.all(all)
})

test('an aborted signal ends the wait; the reply that comes all the same is late', async () => {
  const { requester, replier, late } = await setUp(() => undefined)
  const controller = new AbortController()
  const outcome = assert.rejects(
    requester.request(echo, Buffer.from('x'), { signal: controller.signal }),
    (error: unknown) => {
      assert.ok(error instanceof MilenaError)
      assert.equal(error.code, 'MILENA_CANCELLED')
      assert.equal(error.outcomeKnown, false)
      assert.equal(error.cause, 'the user left')
      return true
    },
  )
  await until(() => replier.requests.length === 1)
  controller.abort('the user left')
  await outcome
  await replier.answer(replier.requests[0]!, { value: Buffer.from('x') })
  await until(() => late.length === 1)
  assert.equal(requester.stats().cancelled, 1)
})

test('a signal that was aborted before sends nothing', async () => {
  const { requester, replier } = await setUp()
  await requester.request(echo, Buffer.from('first'))
  await assert.rejects(
    requester.request(echo, Buffer.from('x'), { signal: AbortSignal.abort() }),
    (error: unknown) =>
      error instanceof MilenaError && error.code === 'MILENA_CANCELLED' && error.sent === 'no',
  )
  await requester.request(echo, Buffer.from('fence'))
  assert.equal(replier.requests.length, 2)
})

test('a request that may have been sent and gets no reply times out as unknown', async () => {
  const { requester, broker, clock } = await setUp()
  await requester.request(echo, Buffer.from('first'))
  let asked = 0
  broker.faults = { send: () => (asked++, { fate: 'unknown' }) }
  const outcome = assert.rejects(
    requester.request(echo, Buffer.from('x'), { timeout: 50 }),
    (error: unknown) => {
      assert.ok(error instanceof TimeoutError)
      assert.equal(error.sent, 'unknown')
      return true
    },
  )
  await until(() => asked === 1)
  await clock.advance(50)
  await outcome
})

function fault(): never {
  throw new Error('a fault of the application')
}

for (const [what, onLateReply] of [
  ['throws', fault],
  ['rejects', async () => fault()],
] as const) {
  test(`an onLateReply that ${what} is a warning and nothing else`, async (t) => {
    const warnings: { context: string; error: Error }[] = []
    const listen = (message: unknown): void => void warnings.push(message as never)
    subscribe('milena:warning', listen)
    t.after(() => unsubscribe('milena:warning', listen))
    const { requester, replier, clock } = await setUp(() => undefined, { onLateReply })
    const outcome = assert.rejects(
      requester.request(echo, Buffer.from('x'), { timeout: 10 }),
      code('MILENA_TIMEOUT'),
    )
    await until(() => replier.requests.length === 1)
    await clock.advance(10)
    await outcome
    await replier.answer(replier.requests[0]!, { value: null })
    await until(() => warnings.length === 1)
    assert.match(warnings[0]!.error.message, /a fault of the application/)
  })
}
