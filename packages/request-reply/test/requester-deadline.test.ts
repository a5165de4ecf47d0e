/** `RequestOptions.deadline`: a moment after which a request is not waited for, whatever its timeout says. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readDeadline, readTimeout } from '../src/wire/milena.ts'
import { TransportError } from '../src/errors.ts'
import { assertAccounted, code, echo, setUp, until } from './requesting.ts'

const value = Buffer.from('x')
/** What is certain of a request that was never sent, and that trying again, later, is in vain. */
const refused = { sent: 'no', effect: 'none', outcomeKnown: true, retryable: false } as const

test('a request waits no longer than its deadline, however long its timeout is, and says so on the wire', async () => {
  const { requester, replier, clock } = await setUp(() => undefined)
  const deadline = clock.now() + 300
  const reply = requester.request(echo, value, { deadline, timeout: 60_000 })
  const seen = assert.rejects(reply, (error: Error) => {
    assert.match(error.message, /no reply within 300 ms/)
    return code('MILENA_TIMEOUT', { sent: 'yes' })(error)
  })
  await until(() => replier.requests.length === 1)
  const { headers } = replier.requests[0]!
  assert.deepEqual([readDeadline(headers), readTimeout(headers)], [deadline, 300])
  await clock.advance(299)
  assert.equal(requester.stats().pending, 1)
  await clock.advance(1)
  await seen
  assertAccounted(requester)
})

test('a deadline that is further away than the timeout changes nothing', async () => {
  const { requester, replier, clock } = await setUp(() => undefined)
  for (const deadline of [clock.now() + 5_000.5, clock.now() + 1e12, Number.MAX_SAFE_INTEGER])
    requester.request(echo, value, { deadline }).catch(() => undefined)
  await until(() => replier.requests.length === 3)
  for (const { headers } of replier.requests)
    assert.deepEqual([readDeadline(headers), readTimeout(headers)], [clock.now() + 5_000, 5_000])
})

test('a deadline that is over is refused at once, with that for a reason, and nothing is sent', async () => {
  const { requester, replier, clock } = await setUp()
  await requester.request(echo, value)
  for (const [deadline, message] of [
    [clock.now(), /operation echo: not sent, since its deadline is over$/],
    [clock.now() - 20, /not sent, since its deadline was over 20 ms ago$/],
    [1, /not sent, since its deadline was over \d+ ms ago$/],
  ] as const) {
    const requests = [
      requester.request(echo, value, { deadline }),
      requester.prepare(echo, value, { deadline }),
    ]
    for (const request of requests)
      await assert.rejects(request, (error: unknown) => {
        assert.ok(error instanceof TransportError)
        assert.match(error.message, message)
        return code('MILENA_NOT_SENT', refused)(error)
      })
  }
  assert.equal(requester.stats().rejected, 6)
  assert.equal(requester.stats().accepted, 1)
  assert.equal(replier.requests.length, 1)
})

test('options that cannot work are told before a deadline that is over, and so is one that is no time', async () => {
  const { requester } = await setUp()
  for (const deadline of [Number.NaN, Infinity, '5', null])
    await assert.rejects(
      requester.request(echo, value, { deadline: deadline as number }),
      /deadline must be milliseconds since the Unix epoch, not /,
    )
  await assert.rejects(
    requester.request(echo, value, { deadline: 1, partition: 0.5 }),
    code('MILENA_OPTIONS_INVALID'),
  )
})

test('what was prepared is held against its deadline again when it is registered', async () => {
  const { requester, replier, clock } = await setUp(() => undefined)
  const options = { deadline: clock.now() + 1_000 }
  const [first, second] = [
    await requester.prepare(echo, value, options),
    await requester.prepare(echo, value, options),
  ]
  assert.equal(first.timeout, 1_000)
  await clock.advance(900)
  const pending = requester.register(first)
  await pending.dispatch()
  await until(() => replier.requests.length === 1)
  const { headers } = replier.requests[0]!
  assert.deepEqual([readDeadline(headers), readTimeout(headers)], [options.deadline, 100])
  await clock.advance(100)
  await assert.rejects(pending.reply, /no reply within 100 ms/)
  assert.throws(() => requester.register(second), code('MILENA_NOT_SENT', refused))
  assert.equal(requester.stats().rejected, 1)
  assertAccounted(requester)
})

test('a signal that has fired names its reason in the refusal of a deadline that is over', async () => {
  const { requester } = await setUp()
  const reason = new Error('enough')
  await assert.rejects(
    requester.request(echo, value, { deadline: 1, signal: AbortSignal.abort(reason) }),
    code('MILENA_NOT_SENT', { ...refused, cause: reason }),
  )
})
