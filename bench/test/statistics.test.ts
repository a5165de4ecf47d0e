import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../src/schedule.ts'
import { allowsQuantile, bootstrapMedian, median, quantile } from '../src/statistics.ts'

test('a quantile lies between the two values nearest to it, and the order of the values does not matter', () => {
  assert.equal(quantile([40, 10, 30, 20, 50], 0.5), 30)
  assert.equal(quantile([10, 20], 0.25), 12.5)
  assert.equal(quantile([10, 20, 30], 0), 10)
  assert.equal(quantile([10, 20, 30], 1), 30)
  assert.ok(Number.isNaN(quantile([], 0.5)))
})

test('the median of an even number of values is the middle of the two in the middle', () => {
  assert.equal(median([4, 1, 3, 2]), 2.5)
})

test('values that are all alike have an interval of no width', () => {
  assert.deepEqual(bootstrapMedian([2, 2, 2], seededRandom(1)), { median: 2, low: 2, high: 2 })
})

test('the bootstrap interval covers the true median about 95 times of 100', () => {
  const random = seededRandom(7)
  let covered = 0
  for (let run = 0; run < 200; run++) {
    const values = Array.from({ length: 21 }, () => random())
    const { low, high } = bootstrapMedian(values, random, 400)
    if (low <= 0.5 && 0.5 <= high) covered++
  }
  assert.ok(covered >= 180 && covered <= 198, `covered ${covered} of 200`)
})

test('the bootstrap interval is the same for the same seed', () => {
  const values = [1, 5, 2, 8, 3]
  assert.deepEqual(bootstrapMedian(values, seededRandom(3)), bootstrapMedian(values, seededRandom(3)))
})

test('a quantile needs a hundred samples beyond it', () => {
  assert.ok(allowsQuantile(10_000, 0.99))
  assert.ok(!allowsQuantile(9_999, 0.99))
  assert.ok(allowsQuantile(200, 0.5))
  assert.ok(!allowsQuantile(99_999, 0.999))
})
