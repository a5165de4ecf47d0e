/** Nobody takes all of a gateway's places with one order. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InHand, NotNow, Turns } from '../src/gateway/in-hand.ts'

test('calls for the same share one piece of work, and take one place', async () => {
  const inHand = new InHand(40)
  const { promise, resolve } = Promise.withResolvers<number>()
  let begun = 0
  const calls = Array.from({ length: 10 }, () =>
    inHand.share('o-1', 'charge o-1', () => {
      begun++
      return promise
    }),
  )
  assert.deepEqual([begun, inHand.size], [1, 1])
  resolve(7)
  assert.deepEqual(
    await Promise.all(calls),
    Array.from({ length: 10 }, () => 7),
  )
  assert.equal(inHand.size, 0)
})

test('one order takes at most a quarter of the places, and others still get theirs', async () => {
  const inHand = new InHand(40)
  const { promise, resolve } = Promise.withResolvers<void>()
  const refund = (number: number) => inHand.share('o-1', `refund ${number}`, () => promise)
  const calls = Array.from({ length: 10 }, (_, number) => refund(number))
  await assert.rejects(refund(11), NotNow)
  const other = inHand.share('o-2', 'charge o-2', () => promise)
  assert.equal(inHand.size, 11)
  resolve()
  await Promise.all([...calls, other])
  await refund(11)
})

test('the bound in all refuses what is new, and lets those share who want the same', async () => {
  const inHand = new InHand(8)
  const { promise, resolve } = Promise.withResolvers<void>()
  const running = Array.from({ length: 8 }, (_, n) => inHand.share(`o-${n}`, `charge ${n}`, () => promise))
  await assert.rejects(
    inHand.share('o-9', 'charge 9', () => Promise.resolve()),
    NotNow,
  )
  const shared = inHand.share('o-1', 'charge 1', () => Promise.reject(new Error('begun again')))
  assert.equal(inHand.size, 8)
  resolve()
  await Promise.all([...running, shared])
  await inHand.share('o-9', 'charge 9', () => promise)
})

test('work of one order is done in turn, also behind work that failed; other orders do not wait', async () => {
  const turns = new Turns()
  const first = Promise.withResolvers<void>()
  const done: string[] = []
  const failing = turns.take('o-1', () => first.promise)
  const next = turns.take('o-1', async () => void done.push('next'))
  await turns.take('o-2', async () => void done.push('other'))
  assert.deepEqual(done, ['other'])
  first.reject(new Error('no'))
  await assert.rejects(failing, /no/)
  await next
  assert.deepEqual(done, ['other', 'next'])
})
