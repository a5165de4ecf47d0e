/** The provider's books: what a caller may rely on when it calls again. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, appendFileSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Behaviour } from '../src/provider/behaviour.ts'
import { Ledger, type Performed } from '../src/provider/ledger.ts'

const behaviour: Behaviour = { delayMs: 1, jitterMs: 0, failRate: 0, declineRate: 0, silentRate: 0 }
const charge = { kind: 'charge', orderId: 'o-1', amount: 100 } as const

function statusOf(performed: Performed): string {
  return performed.result === 'settled' ? performed.movement.status : performed.result
}

test('calls with one key move the money once, at the same time or later', async () => {
  const ledger = new Ledger(behaviour)
  const [first, second] = await Promise.all([ledger.perform(charge, 'k'), ledger.perform(charge, 'k')])
  const third = await ledger.perform(charge, 'k')
  for (const one of [first, second, third]) assert.equal(statusOf(one), 'approved')
  const [entry, ...others] = ledger.approved()
  assert.deepEqual([entry?.attempts, others], [3, []])
})

test('without a key, or with another, the money moves again', async () => {
  const ledger = new Ledger(behaviour)
  for (const key of ['a', 'b', undefined, undefined]) await ledger.perform(charge, key)
  assert.equal(ledger.approved().length, 4)
})

test('a key cannot be used for something else', async () => {
  const ledger = new Ledger(behaviour)
  await ledger.perform(charge, 'k')
  assert.equal(statusOf(await ledger.perform({ ...charge, amount: 1 }, 'k')), 'key-reused')
})

test('a failure is final under its key', async () => {
  const ledger = new Ledger({ ...behaviour, failRate: 1 })
  assert.equal(statusOf(await ledger.perform(charge, 'k')), 'failed')
  ledger.behaviour = behaviour
  assert.equal(statusOf(await ledger.perform(charge, 'k')), 'failed')
  assert.deepEqual(ledger.approved(), [])
})

test('work is not begun after its time, but an outcome is told at any time', async () => {
  const ledger = new Ledger(behaviour)
  const late = { ...charge, expiresAt: Date.now() - 1 }
  assert.equal(statusOf(await ledger.perform(late, 'late')), 'expired')
  assert.equal(ledger.find('o-1'), undefined)
  await ledger.perform({ ...charge, expiresAt: Date.now() + 10_000 }, 'k')
  assert.equal(statusOf(await ledger.perform(late, 'k')), 'approved')
})

test('a charge that is at work is found as such, never as unheard of', async () => {
  const ledger = new Ledger(behaviour)
  const work = ledger.perform(charge, 'k')
  assert.equal(ledger.find('o-1')?.charge.status, 'processing')
  await work
  assert.equal(ledger.find('o-1')?.charge.status, 'approved')
})

test('refunds, however many at once, never exceed the charge', async () => {
  const ledger = new Ledger(behaviour)
  await ledger.perform(charge, 'k')
  const refunds = await Promise.all(
    [1, 2, 3, 4].map((number) =>
      ledger.perform({ kind: 'refund', orderId: 'o-1', refundId: `r-${number}`, amount: 40 }, `r-${number}`),
    ),
  )
  assert.deepEqual(refunds.map(statusOf), ['approved', 'approved', 'declined', 'declined'])
})

test('with a file, outcomes and keys outlast a kill, and a line cut short is passed over', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'milena-test-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'ledger.jsonl')
  const first = await new Ledger(behaviour, file).perform(charge, 'k')
  appendFileSync(file, '{"kind":"charge","orderId":"o-2"')
  const restarted = new Ledger(behaviour, file)
  const again = await restarted.perform(charge, 'k')
  assert.ok(first.result === 'settled' && again.result === 'settled' && again.replayed)
  assert.equal(again.movement.approvalId, first.movement.approvalId)
  assert.deepEqual(
    restarted.approved().map(({ orderId }) => orderId),
    ['o-1'],
  )
  await restarted.perform({ ...charge, orderId: 'o-3' }, 'k-3')
  assert.equal(
    new Ledger(behaviour, file).approved().length,
    2,
    'what is written after the cut line is whole',
  )
})

test('nobody else can read the books', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'milena-test-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'ledger.jsonl')
  await new Ledger(behaviour, file).perform(charge, 'k')
  assert.equal(statSync(file).mode & 0o077, 0)
})
