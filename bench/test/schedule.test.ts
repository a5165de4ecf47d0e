import assert from 'node:assert/strict'
import { test } from 'node:test'
import { poissonSchedule, seededRandom, shuffle } from '../src/schedule.ts'

test('a schedule has its rate, ends in time and never goes back', () => {
  const times = [...poissonSchedule(1_000, 20_000, seededRandom(1))]
  assert.ok(
    Math.abs(times.length - 20_000) < 5 * Math.sqrt(20_000),
    `${times.length} in 20 s at 1000 a second`,
  )
  assert.ok(times.every((at, index) => at > (times[index - 1] ?? 0) && at < 20_000))
})

test('gaps are exponential: their deviation is their mean, and half of them are below ln 2 of it', () => {
  const times = [...poissonSchedule(500, 60_000, seededRandom(2))]
  const gaps = times.map((at, index) => at - (times[index - 1] ?? 0))
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length
  const deviation = Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length)
  const below = gaps.filter((gap) => gap < mean * Math.LN2).length / gaps.length
  assert.ok(Math.abs(mean - 2) < 0.1, `mean ${mean}`)
  assert.ok(Math.abs(deviation / mean - 1) < 0.05, `deviation ${deviation}`)
  assert.ok(Math.abs(below - 0.5) < 0.02, `${below} below`)
})

test('the same seed gives the same schedule, another seed another one', () => {
  const first = [...poissonSchedule(100, 1_000, seededRandom(5))]
  assert.deepEqual([...poissonSchedule(100, 1_000, seededRandom(5))], first)
  assert.notDeepEqual([...poissonSchedule(100, 1_000, seededRandom(6))], first)
})

test('random numbers are spread evenly over [0, 1)', () => {
  const random = seededRandom(9)
  const tenths = Array.from({ length: 10 }, () => 0)
  for (let n = 0; n < 100_000; n++) tenths[Math.floor(random() * 10)]!++
  assert.ok(
    tenths.every((count) => Math.abs(count - 10_000) < 500),
    tenths.join(' '),
  )
})

test('a shuffle keeps every item and reaches every order', () => {
  const random = seededRandom(4)
  const orders = new Set(Array.from({ length: 200 }, () => shuffle(['a', 'b', 'c'], random).join('')))
  assert.deepEqual([...orders].toSorted(), ['abc', 'acb', 'bac', 'bca', 'cab', 'cba'])
})
