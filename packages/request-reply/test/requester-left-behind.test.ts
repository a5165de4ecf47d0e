/** What a requester leaves behind: no listener at a signal that outlives its requests, and nothing accepted once it is closed. */
import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { defineOperation } from '../src/contract/operation.ts'
import { bytes } from '../src/contract/payload.ts'
import type { MilenaError } from '../src/errors.ts'
import { until } from './asking.ts'
import { echo, setUp } from './requesting.ts'

const value = Buffer.from('x')

/** Its value is validated when the test says so. */
function gated(): { readonly operation: typeof echo; open: () => void } {
  const gate = Promise.withResolvers<void>()
  const request = {
    '~standard': {
      version: 1 as const,
      vendor: 'test',
      validate: async (given: unknown) => {
        await gate.promise
        return { value: given }
      },
    },
  }
  const operation = defineOperation({ name: 'gated', topic: 'requests', request, reply: bytes() })
  return { operation: operation as unknown as typeof echo, open: gate.resolve }
}

test('nobody listens to a signal any more whose request has its outcome, whatever that is', async () => {
  const { requester, clock, replier } = await setUp((request) =>
    String(request.value) === 'silent' ? undefined : { value: request.value },
  )
  const { signal } = new AbortController()
  const listeners = (): number => getEventListeners(signal, 'abort').length
  await requester.request(echo, value, { signal })
  assert.equal(listeners(), 0, 'answered')
  const silent = assert.rejects(requester.request(echo, Buffer.from('silent'), { signal, timeout: 1_000 }), {
    code: 'MILENA_TIMEOUT',
  })
  assert.equal(listeners(), 1, 'pending')
  await until('it was received', () => replier.requests.length === 2)
  await clock.advance(1_000)
  await silent
  assert.equal(listeners(), 0, 'timed out')
  await requester.send(echo, value, { signal })
  assert.equal(listeners(), 0, 'sent, one way')
  const { operation, open } = gated()
  const prepared = requester.request(operation, value, { signal })
  assert.equal(listeners(), 1, 'being prepared')
  open()
  await prepared
  assert.equal(listeners(), 0, 'prepared, and answered')
})

test('a request that is ready only when close has drained is not accepted, at whatever moment that is', async () => {
  for (let turns = 0; turns < 40; turns++) {
    const { requester, broker } = await setUp()
    await requester.request(echo, value)
    const { operation, open } = gated()
    const asked = requester.request(operation, value).then(
      () => 'answered',
      (error: MilenaError) => error.code,
    )
    let closed = false
    const closing = requester.close({ timeout: 0 }).then(() => (closed = true))
    for (let turn = 0; turn < turns; turn++) await null
    open()
    await closing
    const outcome = await Promise.race([
      asked,
      new Promise<string>((resolve) => setImmediate(resolve, 'none')),
    ])
    assert.ok(closed)
    assert.match(outcome, /^MILENA_(CLOSED|ABANDONED)$/, `${turns} turns after close was called`)
    if (outcome === 'MILENA_CLOSED') assert.equal(broker.records('requests').length, 1)
  }
})
