import assert from 'node:assert/strict'
import { test } from 'node:test'
import { foreignCurrencies } from '../src/operations.ts'
import { rateAt, toKrw } from '../src/exchange/rates.ts'

test('an amount is rounded once, in favour of the bank', () => {
  // 1 cent at 1 385.40 KRW a dollar is 13.854 KRW.
  assert.equal(toKrw('BUY', 1, 'USD', 13_854_000), 14)
  assert.equal(toKrw('SELL', 1, 'USD', 13_854_000), 13)
  // 100 dollars are whole.
  for (const direction of ['BUY', 'SELL'] as const)
    assert.equal(toKrw(direction, 10_000, 'USD', 13_854_000), 138_540)
  // A yen has no smaller unit.
  assert.equal(toKrw('BUY', 100, 'JPY', 92_310), 924)
  assert.equal(toKrw('SELL', 100, 'JPY', 92_310), 923)
})

test('no amount is too large to be exact', () => {
  // 10^9 cents at 2^24 + 1: their product is beyond 2^53.
  assert.equal(toKrw('SELL', 1_000_000_000, 'USD', 16_777_217), 16_777_217_000)
  assert.equal(toKrw('SELL', 999_999_999, 'USD', 16_777_217), 16_777_216_983)
})

test('a rate is a whole number at any time', () => {
  for (const currency of foreignCurrencies)
    for (const now of [0, 1_795_880_000_000, 1_795_880_001_000])
      assert.ok(Number.isSafeInteger(rateAt(now, currency)), `${currency} at ${now}`)
})
