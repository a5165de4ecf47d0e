/** How many requests may be pending, in number and in bytes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineOperation } from '../src/contract/operation.ts'
import { bytes } from '../src/contract/payload.ts'
import { MilenaError } from '../src/errors.ts'
import { hung } from './hung.ts'
import { code, echo, setUp, until } from './requesting.ts'

test('no more than maxPending requests are pending; one more is rejected at once and not sent', async () => {
  const { requester, replier } = await setUp(() => undefined, { maxPending: 2 })
  const first = [requester.request(echo, Buffer.alloc(1)), requester.request(echo, Buffer.alloc(1))]
  await until(() => requester.stats().pending === 2)
  await assert.rejects(requester.request(echo, Buffer.alloc(1)), (error: unknown) => {
    assert.ok(error instanceof MilenaError)
    assert.equal(error.code, 'MILENA_OVERLOADED')
    assert.equal(error.retryable, true)
    assert.equal(error.sent, 'no')
    return true
  })
  assert.equal(requester.stats().rejected, 1)
  await until(() => replier.requests.length === 2)
  for (const request of replier.requests) await replier.answer(request, { value: request.value })
  await Promise.all(first)
  const again = requester.request(echo, Buffer.from('room again'))
  await until(() => replier.requests.length === 3)
  await replier.answer(replier.requests[2]!, { value: Buffer.from('yes') })
  assert.equal((await again).value.toString(), 'yes')
})

test('when maxPending is reached, a rejection comes before any work', async () => {
  const { requester, replier } = await setUp(() => undefined, { maxPending: 1 })
  const first = requester.request(echo, Buffer.alloc(1))
  await until(() => replier.requests.length === 1)
  let asked = 0
  const keyed = defineOperation({
    name: 'keyed',
    topic: 'requests',
    request: bytes(),
    reply: bytes(),
    key: () => `${asked++}`,
  })
  await assert.rejects(requester.request(keyed, Buffer.alloc(1)), code('MILENA_OVERLOADED'))
  assert.equal(asked, 0)
  await replier.answer(replier.requests[0]!, { value: null })
  await first
})

test('no more than maxPendingBytes are pending', async () => {
  const { requester, replier } = await setUp(() => undefined, { maxPendingBytes: 1000 })
  const first = requester.request(echo, Buffer.alloc(600))
  await until(() => replier.requests.length === 1)
  await assert.rejects(requester.request(echo, Buffer.alloc(401)), code('MILENA_OVERLOADED'))
  await replier.answer(replier.requests[0]!, { value: null })
  await first
  assert.equal(requester.stats().pendingBytes, 0)
})

test('requests that wait for their topic count as pending', async () => {
  const { requester } = await setUp(undefined, { maxPending: 2 }, hung)
  const first = Promise.allSettled([
    requester.request(echo, Buffer.from('1')),
    requester.request(echo, Buffer.from('2')),
  ])
  await assert.rejects(requester.request(echo, Buffer.from('3')), code('MILENA_OVERLOADED', { sent: 'no' }))
  await requester.close()
  for (const one of await first) assert.equal(one.status, 'rejected')
})

test('maxPendingBytes counts headers; what is larger by itself is too large, and not to be tried again', async () => {
  const { requester, replier } = await setUp(() => undefined, { maxPendingBytes: 1000 })
  const headers = { big: 'x'.repeat(500) }
  const first = requester.request(echo, Buffer.alloc(1), { headers })
  await until(() => replier.requests.length === 1)
  await assert.rejects(
    requester.request(echo, Buffer.alloc(1), { headers }),
    code('MILENA_OVERLOADED', { retryable: true }),
  )
  await replier.answer(replier.requests[0]!, { value: null })
  await first
  await assert.rejects(
    requester.request(echo, Buffer.alloc(1), { headers: { big: 'x'.repeat(1000) } }),
    code('MILENA_RECORD_TOO_LARGE', { retryable: false, sent: 'no', effect: 'none' }),
  )
})

test('requests that are remembered for their late replies take no more than maxPendingBytes', async () => {
  const { requester, replier, clock, late } = await setUp(() => undefined, { maxPendingBytes: 1500 })
  for (let n = 0; n < 3; n++) {
    const outcome = assert.rejects(
      requester.request(echo, Buffer.alloc(400, n), { timeout: 10 }),
      code('MILENA_TIMEOUT'),
    )
    await until(() => replier.requests.length === n + 1)
    await clock.advance(10)
    await outcome
  }
  for (const request of replier.requests) await replier.answer(request, { value: Buffer.from('late') })
  await until(() => late.length === 2)
  assert.deepEqual(
    late.map((one) => (one.request as Buffer)[0]),
    [1, 2],
  )
  assert.equal(requester.stats().foreign, 1)
})
