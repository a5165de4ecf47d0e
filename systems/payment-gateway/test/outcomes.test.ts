/** A reply is an outcome of the payment that was asked for, or of none. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mismatchOf } from '../src/gateway/outcomes.ts'
import type { ProviderOutcome } from '../src/operations.ts'

const charge = { kind: 'charge', id: 'o-1', orderId: 'o-1', amount: 100 } as const
const refund = { kind: 'refund', id: 'o-1/r-1', orderId: 'o-1', amount: 40 } as const
const how = { status: 'approved', approvalId: 'a', providerMs: 1, worker: 'w' } as const

function told(what: { orderId: string; refundId?: string; amount: number }): ProviderOutcome {
  return { ...how, ...what }
}

test('a reply about what was asked is taken', () => {
  assert.equal(mismatchOf(told({ orderId: 'o-1', amount: 100 }), charge), undefined)
  assert.equal(mismatchOf(told({ orderId: 'o-1', refundId: 'o-1/r-1', amount: 40 }), refund), undefined)
})

for (const [name, asked, what] of [
  ['order', charge, { orderId: 'o-2', amount: 100 }],
  ['amount', charge, { orderId: 'o-1', amount: 1 }],
  ['kind: a refund for a charge', charge, { orderId: 'o-1', refundId: 'o-1/r-1', amount: 100 }],
  ['kind: a charge for a refund', refund, { orderId: 'o-1', amount: 40 }],
  ['refund', refund, { orderId: 'o-1', refundId: 'o-1/r-2', amount: 40 }],
] as const) {
  test(`a reply about another ${name} is none`, () => {
    assert.match(String(mismatchOf(told(what), asked)), /about another payment/)
  })
}
