import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apply, type Action, type Kind, type Shop } from '../src/domain/radius.ts'

const whole: Shop = { base: 3_000, radius: 3_000, active: [] }

function after(...changes: readonly [Action, Kind][]): Shop {
  return changes.reduce<Shop>((shop, [action, kind]) => {
    const applied = apply(shop, { action, kind })
    assert.ok('shop' in applied)
    return applied.shop
  }, whole)
}

test('two changes in another order end in another state', () => {
  const one = after(['begin', 'rider-shortage'], ['begin', 'system-failure'])
  const other = after(['begin', 'system-failure'], ['begin', 'rider-shortage'])
  assert.deepEqual([one.radius, other.radius], [300, 1_800])
})

test('a shop delivers as before when everything has ended, in whatever order', () => {
  const shop = after(
    ['begin', 'rider-shortage'],
    ['begin', 'bad-weather'],
    ['end', 'rider-shortage'],
    ['end', 'bad-weather'],
  )
  assert.deepEqual(shop, whole)
})

test('what is going on cannot begin, and what is not cannot end', () => {
  const shop = after(['begin', 'bad-weather'])
  assert.deepEqual(apply(shop, { action: 'begin', kind: 'bad-weather' }), { refused: 'ALREADY_ACTIVE' })
  assert.deepEqual(apply(shop, { action: 'end', kind: 'rider-shortage' }), { refused: 'NOT_ACTIVE' })
})
