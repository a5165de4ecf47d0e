/** The storm is the same each time, and what it needs to be to show anything. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createStorm, type StormOptions } from '../src/run/storm.ts'

const options: StormOptions = {
  seed: 1,
  triggers: 60,
  rate: 20,
  wave: 12,
  requesters: 3,
  shops: 400,
  each: 100,
}

test('one seed is one storm, another seed another one', () => {
  assert.deepEqual(createStorm(options), createStorm(options))
  assert.notDeepEqual(createStorm(options), createStorm({ ...options, seed: 2 }))
})

test('each trigger names so many shops, each once, in an order of its own', () => {
  for (const { shops } of createStorm(options)) {
    assert.equal(new Set(shops).size, options.each)
    const numbers = shops.map((shop) => Number(shop.replace('shop-', '')))
    assert.ok(numbers.every((number) => number >= 1 && number <= options.shops))
    assert.notDeepEqual(
      numbers,
      numbers.toSorted((a, b) => a - b),
    )
  }
})

test('those of a wave come at the same moment, from all requesters, and overlap', () => {
  const storm = createStorm(options)
  assert.deepEqual([...new Set(storm.map(({ at }) => at))], [0, 600, 1_200, 1_800, 2_400])
  const wave = storm.slice(0, 12)
  assert.deepEqual(new Set(wave.map(({ requester }) => requester)), new Set([0, 1, 2]))
  const named = wave.flatMap(({ shops }) => shops)
  assert.ok(new Set(named).size < named.length)
})

test('things begin, and end', () => {
  const actions = createStorm(options).map(({ action }) => action)
  for (const action of ['begin', 'end'] as const)
    assert.ok(actions.filter((one) => one === action).length >= 10, action)
})
