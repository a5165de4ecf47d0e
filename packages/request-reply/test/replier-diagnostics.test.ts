/** What a replier publishes: one end for each record that was read. */
import assert from 'node:assert/strict'
import { channel } from 'node:diagnostics_channel'
import { test, type TestContext } from 'node:test'
import { handlingEnded, type HandlingEndedStep, type PassedOverStep } from '../src/diagnostics.ts'
import { execute, replied } from './executing.ts'

const byOffset = (a: readonly unknown[], b: readonly unknown[]): number => Number(a[0]) - Number(b[0])

function ends(t: TestContext): HandlingEndedStep[] {
  const seen: HandlingEndedStep[] = []
  const listen = (message: unknown): void => void seen.push(message as HandlingEndedStep)
  channel(handlingEnded.name).subscribe(listen)
  t.after(() => channel(handlingEnded.name).unsubscribe(listen))
  return seen
}

test('there is one end for each record, with what became of it and how long each part took', async (t) => {
  const seen = ends(t)
  const passed: PassedOverStep[] = []
  const listen = (message: unknown): void => void passed.push(message as PassedOverStep)
  channel('milena:request:passed-over').subscribe(listen)
  t.after(() => channel('milena:request:passed-over').unsubscribe(listen))
  const { ask, clock } = await execute(t, async (value, { attempt }) => {
    switch (value) {
      case 'error':
        return { kind: 'error', code: 'NO_STOCK', message: 'none' }
      case 'done':
        return { kind: 'done' }
      case 'handed':
        return { kind: 'handed over' }
      case 'passed':
        return { kind: 'passed over', reason: 'unanswerable', detail: 'no' }
      case 'later':
        if (attempt === 1) return { kind: 'later', notBefore: clock.now() + 700 }
        await new Promise<void>((resolve) => clock.schedule(50, resolve))
        return replied(value)
      default:
        return replied(value)
    }
  })
  for (const value of ['error', 'done', 'handed', 'passed', 'later', 'reply']) await ask(value)
  await clock.advance(1_000)
  assert.deepEqual(
    seen
      .map(({ outcome, reason, position, attempt }) => [position.offset, outcome, reason, attempt])
      .toSorted(byOffset),
    [
      [0, 'error-replied', 'NO_STOCK', 1],
      [1, 'done', undefined, 1],
      [2, 'handed-over', undefined, 1],
      [3, 'passed-over', 'unanswerable', 1],
      [4, 'replied', undefined, 2],
      [5, 'replied', undefined, 1],
    ],
  )
  const later = seen.find(({ position }) => position.offset === 4)!
  assert.deepEqual([later.waited, later.handled, later.delivered], [700, 50, 0])
  assert.equal(later.correlationId, Buffer.from('0000000000000005').toString('hex'))
  assert.ok(later.bytes > 0 && later.timestamp > 0)
  assert.equal(passed.length, 1)
  assert.equal(passed[0]!.attempt, 1)
})

test('a record whose partition goes before its turn is dropped, one that runs is abandoned: once each', async (t) => {
  const seen = ends(t)
  const { ask, clock, group } = await execute(t, (value, run) =>
    value === 'parked'
      ? { kind: 'later', notBefore: clock.now() + 3_600_000 }
      : new Promise((resolve) =>
          clock.schedule(20_000, () => resolve(run.owned ? replied(value) : { kind: 'abandoned' })),
        ),
  )
  await ask('parked', 'p')
  await ask('runs', 'a')
  await ask('waits', 'a')
  await clock.advance(1)
  assert.equal(seen.length, 0)
  const leaving = group.leave(100)
  await clock.advance(200)
  await leaving
  await clock.advance(60_000)
  assert.deepEqual(seen.map(({ outcome, position }) => [position.offset, outcome]).toSorted(byOffset), [
    [0, 'dropped'],
    [1, 'abandoned'],
    [2, 'dropped'],
  ])
  assert.equal(group.inHand.records, 0)
})
