/** What givers were told and the gifts are held against the mailbox; and options are read. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StartError } from '@milena/hosting'
import type { Gift, GiftState } from '../src/coupon/schemas.ts'
import { readOptions } from '../src/options.ts'
import { find, waitOf } from '../src/run/findings.ts'
import type { Given } from '../src/run/load.ts'

const recipient = 'kim@example.test'

function gift(state: GiftState): Gift {
  return {
    giftId: 'g',
    couponId: 'cake',
    recipient,
    message: '',
    partner: false,
    state,
    storedAt: '2026-01-01T00:00:00.000Z',
    endedAt: '2026-01-01T00:00:00.250Z',
    links: { self: '/gifts/g', events: '/gifts/g/events' },
  }
}

interface Situation {
  readonly state?: GiftState
  readonly isRefused?: boolean
  readonly mails?: number | 'nobody knows'
  readonly accepted?: boolean
}

function problems({ state, isRefused = false, mails = 0, accepted = true }: Situation): string {
  const given = new Map<string, Given>([['g', { giftId: 'g', recipient, isRefused }]])
  const told = accepted
    ? { accepted: given, unanswered: new Map<string, Given>() }
    : { accepted: new Map<string, Given>(), unanswered: given }
  const counts = mails === 'nobody knows' ? undefined : new Map([[recipient, mails]])
  return find(told, state === undefined ? [] : [gift(state)], counts).problems.join()
}

test('a sent gift with one mail, and a refused one that has failed without one, are no problem', () => {
  assert.equal(problems({ state: 'sent', mails: 1 }), '')
  assert.equal(problems({ state: 'failed', isRefused: true }), '')
})

for (const [what, situation, said] of [
  ['a sent gift without a mail', { state: 'sent' }, /has 0 mails instead of 1/],
  ['a sent gift with two', { state: 'sent', mails: 2 }, /has 2 mails instead of 1/],
  ['a failed gift with a mail', { state: 'failed', isRefused: true, mails: 1 }, /has 1 mails instead of 0/],
  ['a gift that has failed for nothing', { state: 'failed' }, /has failed, and its address is not refused/],
  ['a gift sent to an address that is refused', { state: 'sent', isRefused: true, mails: 1 }, /is refused/],
  ['one that is under way', { state: 'requested' }, /has not come to its end: it is requested/],
  ['one of which nothing is known', { state: 'unknown' }, /it is unknown/],
  ['one that was accepted and is not there', {}, /was accepted, and is not there/],
  ['a giver without an answer', { state: 'sent', mails: 1, accepted: false }, /was never answered/],
] as const satisfies readonly (readonly [string, Situation, RegExp])[])
  test(`${what} is a problem`, () => {
    assert.match(problems(situation), said)
  })

test('a gift that nobody gave is a problem', () => {
  const nobody = { accepted: new Map<string, Given>(), unanswered: new Map<string, Given>() }
  assert.match(find(nobody, [gift('sent')], undefined).problems.join(), /nobody gave it/)
})

test('without a mailbox to ask only states are looked at, and any address may be refused', () => {
  for (const state of ['sent', 'failed'] as const)
    assert.equal(problems({ state, mails: 'nobody knows' }), '')
  assert.match(problems({ state: 'stored', mails: 'nobody knows' }), /it is stored/)
})

test('how long it took is from the gift to its end', () => {
  assert.deepEqual(waitOf([gift('sent')]), { p50: 250, p99: 250, most: 250 })
})

test('options have defaults, and a name of its own for each run', () => {
  const [first, second] = [readOptions([]), readOptions([])]
  assert.ok(first !== 'help' && second !== 'help')
  assert.notEqual(first.prefix, second.prefix)
  assert.deepEqual([first.gifts, first.rate, first.kills], [300, 15, 6])
})

test('every option that cannot work is told', () => {
  assert.throws(
    () => readOptions(['--gifts', '0', '--window', 'x', '--domain', 'a b', '--prefix', 'A B']),
    (error) =>
      error instanceof StartError &&
      ['--gifts', '--window', '--domain', '--prefix', '--help'].every((name) => error.message.includes(name)),
  )
})
