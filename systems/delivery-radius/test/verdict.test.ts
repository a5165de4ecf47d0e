/** What is counted of a way: lost, out of order, told wrong. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Trigger } from '../src/run/storm.ts'
import { judge, type Made, type Verdict } from '../src/run/verdict.ts'
import type { Told } from '../src/ways/way.ts'

const trigger = (number: number, ...shops: readonly string[]): Trigger => {
  return { number, at: 100 * number, requester: 0, kind: 'bad-weather', action: 'begin', shops }
}
const made = (number: number, shop: string, rest: Partial<Made> = {}): Made => {
  return { number, shop, accepted: number, overwrote: false, ...rest }
}
const told = (rest: Partial<Told>): Told => ({ made: [], refused: [], failed: [], unknown: [], ...rest })

function figures(verdict: Verdict): Partial<Verdict> {
  return Object.fromEntries(Object.entries(verdict).filter(([, figure]) => figure !== 0))
}

test('what was told as it is, and made in the order of acceptance, has no faults', () => {
  const storm = [trigger(1, 'a', 'b', 'c', 'd'), trigger(2, 'b', 'd')]
  const all = new Map([
    [1, told({ made: ['a', 'b', 'c'], refused: ['d'] })],
    [2, told({ made: ['b'], failed: ['d'] })],
  ])
  const history = [made(1, 'b'), made(1, 'a'), made(2, 'b'), made(1, 'c')]
  assert.deepEqual(figures(judge(storm, all, history)), { fired: 6, made: 4, refused: 1, failedTold: 1 })
})

test('a change that came to its shop after a later one is out of order, and only there', () => {
  const storm = [trigger(1, 'a', 'b'), trigger(2, 'a', 'b')]
  const all = new Map([1, 2].map((number) => [number, told({ made: ['a', 'b'] })]))
  const history = [made(2, 'a'), made(1, 'b'), made(1, 'a'), made(2, 'b')]
  const { outOfOrder, outOfFiringOrder } = judge(storm, all, history)
  assert.deepEqual({ outOfOrder, outOfFiringOrder }, { outOfOrder: 1, outOfFiringOrder: 1 })
})

test('what was accepted in another order than fired is in order as accepted', () => {
  const storm = [trigger(1, 'a'), trigger(2, 'a')]
  const all = new Map([1, 2].map((number) => [number, told({ made: ['a'] })]))
  const history = [made(2, 'a', { accepted: 7 }), made(1, 'a', { accepted: 8 })]
  const { outOfOrder, outOfFiringOrder } = judge(storm, all, history)
  assert.deepEqual({ outOfOrder, outOfFiringOrder }, { outOfOrder: 0, outOfFiringOrder: 1 })
})

test('those that were fired at the same moment have no order', () => {
  const storm = [trigger(1, 'a'), { ...trigger(2, 'a'), at: 100 }]
  const all = new Map([1, 2].map((number) => [number, told({ made: ['a'] })]))
  assert.equal(judge(storm, all, [made(2, 'a'), made(1, 'a')]).outOfFiringOrder, 0)
})

test('a change that was told to be made, or not told, and is not there, is lost; so is one that was overwritten', () => {
  const storm = [trigger(1, 'a', 'b', 'c'), trigger(2, 'c')]
  const all = new Map([
    [1, told({ made: ['a', 'c'], unknown: ['b'] })],
    [2, told({ made: ['c'] })],
  ])
  const history = [made(1, 'c'), made(2, 'c', { overwrote: true })]
  const { lost, untold } = judge(storm, all, history)
  assert.deepEqual({ lost, untold }, { lost: 3, untold: 1 })
})

test('a trigger whose caller heard nothing leaves all of its changes untold', () => {
  const { untold, lost } = judge([trigger(1, 'a', 'b')], new Map(), [made(1, 'a')])
  assert.deepEqual({ untold, lost }, { untold: 2, lost: 1 })
})

test('a change that is there although its caller was told that it failed is told wrong', () => {
  const all = new Map([[1, told({ failed: ['a'], refused: ['b'] })]])
  assert.equal(judge([trigger(1, 'a', 'b')], all, [made(1, 'a'), made(1, 'b')]).toldWrong, 2)
})
