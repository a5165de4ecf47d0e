/** What a requester leaves behind: nothing is accepted once it is closed. Signals: `requester-signals.test.ts`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineOperation } from '../src/contract/operation.ts'
import { bytes } from '../src/contract/payload.ts'
import type { MilenaError } from '../src/errors.ts'
import { altered, echo, setUp, StagedRouting } from './requesting.ts'

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
    for (let turn = 0; turn < turns; turn++) await Promise.resolve()
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

for (const way of ['request', 'send'] as const)
  test(`what waits for its topic when close has drained ends with that, and nothing is accepted (${way})`, async () => {
    const described = Promise.withResolvers<void>()
    const { requester, broker } = await setUp(undefined, { replyRouting: new StagedRouting() }, (transport) =>
      altered(transport, {
        describeTopics: (names) => described.promise.then(() => transport.describeTopics(names)),
      }),
    )
    const asked = requester[way](echo, value).then(
      () => 'accepted',
      (error: MilenaError) => error.code,
    )
    await requester.close({ timeout: 0 })
    const now = new Promise<string>((resolve) => setImmediate(resolve, 'it still waits'))
    assert.equal(await Promise.race([asked, now]), 'MILENA_CLOSED')
    described.resolve()
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual([requester.stats().accepted, requester.stats().oneWay.accepted], [0, 0])
    assert.deepEqual(broker.records('requests'), [])
  })
