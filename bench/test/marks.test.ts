import assert from 'node:assert/strict'
import { test } from 'node:test'
import { marksOf } from '../src/run/marks.ts'

function quantiles(p99: number) {
  return { count: 1, p50: 1, p90: 1, p99, p999: 1, max: 1 }
}

test('a block is marked when others used more than 5 % of the machine, or the generator was later than 5 % of the p99', () => {
  const latency = quantiles(100)
  assert.deepEqual(marksOf({ latency, others: 0.05, lag: quantiles(5) }), [])
  assert.deepEqual(marksOf({ latency, others: 0.051, lag: quantiles(5) }), ['machine busy'])
  assert.deepEqual(marksOf({ latency, others: 0, lag: quantiles(5.1) }), ['generator late'])
  assert.deepEqual(marksOf({ latency, others: 0.5, lag: quantiles(50) }), ['machine busy', 'generator late'])
  assert.deepEqual(marksOf({ latency }), [])
})
