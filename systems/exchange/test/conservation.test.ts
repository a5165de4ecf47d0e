/** What the auditor calls a problem: each kind of lost, made or half moved money, planted in what it reads. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  problemsOfBooks,
  problemsOfExchanges,
  type Books,
  type Effect,
  type ExchangeRow,
} from '../src/audit/conservation.ts'

const sound: Books = {
  service: 'krw-account',
  totals: [{ currency: 'KRW', opening: 1_000, balance: 1_000 }],
  unbalanced: [],
  misstated: [],
}

test('books that add up have no problem', () => {
  assert.deepEqual(problemsOfBooks(sound), [])
})

test('money that is lost or made is told with its currency and how much', () => {
  const lost: Books = { ...sound, totals: [{ currency: 'KRW', opening: 1_000, balance: 990 }] }
  assert.match(problemsOfBooks(lost).join(), /KRW began with 1000 and is now 990: -10/)
})

const buy: ExchangeRow = {
  id: 'x-1',
  direction: 'BUY',
  customerId: 'c',
  currency: 'USD',
  amount: 100,
  krwAmount: 1_386,
  status: 'COMPLETED',
}
const paid: Effect = { exchangeId: 'x-1', customerId: 'c', currency: 'KRW', amount: -1_386 }
const received: Effect = { exchangeId: 'x-1', customerId: 'c', currency: 'USD', amount: 100 }

test('an exchange that took place has moved both amounts, each in its direction', () => {
  assert.deepEqual(problemsOfExchanges([buy], [paid, received]), [])
  const sell = { ...buy, direction: 'SELL' } as const
  const reversed = [
    { ...paid, amount: 1_386 },
    { ...received, amount: -100 },
  ]
  assert.deepEqual(problemsOfExchanges([sell], reversed), [])
})

test('one that was undone has moved nothing', () => {
  const undone = { ...buy, status: 'CANCELLED' } as const
  assert.deepEqual(problemsOfExchanges([undone], []), [])
})

for (const [what, exchange, effects, said] of [
  ['a deposit that is missing', buy, [paid], /USD is 0 instead of \+100/],
  ['a withdrawal that is missing', buy, [received], /KRW is 0 instead of -1386/],
  ['a deposit of another amount', buy, [paid, { ...received, amount: 99 }], /\+99 instead of \+100/],
  [
    "another customer's deposit",
    buy,
    [paid, { ...received, customerId: 'd' }],
    /d USD is \+100 instead of 0/,
  ],
  ['a cancellation that is missing', { ...buy, status: 'CANCELLED' }, [paid], /KRW is -1386 instead of 0/],
  ['one that is still being undone', { ...buy, status: 'COMPENSATING' }, [], /still COMPENSATING/],
  ['one that is still running', { ...buy, status: 'RUNNING' }, [], /still RUNNING/],
  ['money of no exchange', buy, [paid, received, { ...paid, exchangeId: 'x-2' }], /x-2 is no exchange/],
] as const satisfies readonly (readonly [string, ExchangeRow, readonly Effect[], RegExp])[])
  test(`${what} is found`, () => {
    assert.match(problemsOfExchanges([exchange], effects).join('\n'), said)
  })
