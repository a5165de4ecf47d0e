/** A saga, its steps and their compensations. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { z } from 'zod'
import { fixed } from '../src/retry/backoff.ts'
import { defineSaga } from '../src/saga/definition.ts'
import type { MemoryTransaction } from '../src/saga/memory-store.ts'
import { inTransaction } from '../src/saga/work.ts'
import { never, refuse, setUp } from './saga/set-up.ts'

describe('a saga', () => {
  test('whose steps are all done is completed, with their results', async () => {
    const saga = defineSaga({ name: 's', input: z.object({ days: z.coerce.number() }) })
      .step('hotel', ({ input }) => ({ room: input.days }))
      .step('flight', ({ results }) => results.hotel.room + 1)
    await using set = await setUp([saga])
    const run = await set.sagas.run(saga, 'a', { days: '3' })
    const { outcome, results } = await run.decided
    assert.equal(outcome, 'completed')
    assert.deepEqual(results, { hotel: { room: 3 }, flight: 4 })
    assert.deepEqual((await run.ended).results, results)
    assert.equal(run.begun, true)
    assert.deepEqual((await set.sagas.get('a'))?.input, { days: '3' }, 'stored as it was given')
  })

  test('that fails is undone in reverse; what failed without effect, and what was never begun, is not', async () => {
    const undone: unknown[] = []
    const undo = (name: string) => ({
      compensate: ({ result, effect }: { result: unknown; effect: string }) =>
        void undone.push([name, result, effect]),
    })
    const saga = defineSaga({ name: 's' })
      .step('a', () => 1, undo('a'))
      .step('b', () => 2)
      .step('c', () => 3, undo('c'))
      .step('d', refuse, undo('d'))
      .step('e', () => 5, undo('e'))
    await using set = await setUp([saga])
    const run = await set.sagas.run(saga, 'a', 1)
    const decision = await run.decided
    assert.equal(decision.outcome, 'compensating')
    assert.equal(decision.results, undefined)
    assert.deepEqual(decision.failure, { step: 'd', code: 'NO', message: 'no', effect: 'none' })
    assert.equal((await run.ended).outcome, 'compensated')
    assert.deepEqual(undone, [
      ['c', 3, 'done'],
      ['a', 1, 'done'],
    ])
  })

  test('whose step may have been done has that step undone too', async () => {
    const undone: unknown[] = []
    const saga = defineSaga({ name: 's' }).step(
      'a',
      () => {
        throw new Error('connection reset')
      },
      {
        compensate: ({ result, effect, idempotencyKey }) =>
          void undone.push([result, effect, idempotencyKey]),
      },
    )
    await using set = await setUp([saga])
    assert.equal((await (await set.sagas.run(saga, 'id', 1)).ended).outcome, 'compensated')
    assert.deepEqual(undone, [[undefined, 'unknown', 'id:a:compensation']])
  })

  test('answers its caller before it is undone', async () => {
    const saga = defineSaga({ name: 's' })
      .step('a', () => 1, { compensate: () => never })
      .step('b', refuse)
    await using set = await setUp([saga])
    const run = await set.sagas.run(saga, 'a', 1)
    assert.equal((await run.decided).outcome, 'compensating')
  })

  test('begun twice is one saga; with another input, or for another saga, the id is refused', async () => {
    let calls = 0
    const saga = defineSaga({ name: 's' }).step('a', () => ++calls)
    const other = defineSaga({ name: 'other' }).step('a', () => ++calls)
    await using set = await setUp([saga, other])
    const runs = await Promise.all([1, 2, 3].map(() => set.sagas.run(saga, 'a', { amount: 1 })))
    assert.deepEqual(await Promise.all(runs.map(async (run) => (await run.ended).results)), [
      { a: 1 },
      { a: 1 },
      { a: 1 },
    ])
    assert.equal(runs.filter(({ begun }) => begun).length, 1)
    assert.equal((await (await set.sagas.run(saga, 'a', { amount: 1 })).ended).outcome, 'completed')
    await assert.rejects(set.sagas.run(saga, 'a', { amount: 2 }), { code: 'MILENA_SAGA_CONFLICT' })
    await assert.rejects(set.sagas.run(other, 'a', { amount: 1 }), { code: 'MILENA_SAGA_CONFLICT' })
    assert.equal(calls, 1)
  })

  test('with an input that its schema refuses, or that is no JSON, is not begun', async () => {
    const saga = defineSaga({ name: 's', input: z.object({ n: z.number() }) }).step('a', () => 1)
    await using set = await setUp([saga])
    await assert.rejects(set.sagas.run(saga, 'a', { n: 'x' as never }), { code: 'MILENA_REQUEST_INVALID' })
    await assert.rejects(set.sagas.run(saga, 'a', { n: 1n as never }), { code: 'MILENA_REQUEST_INVALID' })
    assert.equal(await set.sagas.get('a'), undefined)
  })
})

describe('a step', () => {
  test('is tried again as its retry says, under the same idempotency key', async () => {
    const tries: unknown[] = []
    const saga = defineSaga({ name: 's' }).step(
      'a',
      ({ attempt, idempotencyKey }) => {
        tries.push([attempt, idempotencyKey, clockOf()])
        if (attempt < 3) throw new Error('busy')
        return 'ok'
      },
      { retry: { attempts: 3, backoff: fixed(1_000) } },
    )
    await using set = await setUp([saga])
    const clockOf = (): number => set.clock.monotonic()
    const run = await set.sagas.run(saga, 'x', 1)
    await set.clock.advance(5_000)
    assert.deepEqual((await run.ended).results, { a: 'ok' })
    assert.deepEqual(tries, [
      [1, 'x:a', 0],
      [2, 'x:a', 1_000],
      [3, 'x:a', 2_000],
    ])
  })

  test('is not tried again where that cannot help, or could do it twice', async () => {
    const refused = defineSaga({ name: 'refused' }).step('a', counted(refuse), { retry: { attempts: 5 } })
    const once = defineSaga({ name: 'once' }).step('a', counted(fail), {
      retry: { attempts: 5 },
      idempotent: false,
    })
    await using set = await setUp([refused, once])
    await (
      await set.sagas.run(refused, 'r', 1)
    ).ended
    await (
      await set.sagas.run(once, 'o', 1)
    ).ended
    assert.deepEqual(counts.splice(0), [refuse, fail])
  })

  test('that takes too long is told so, and its outcome is unknown', async () => {
    const reasons: unknown[] = []
    const saga = defineSaga({ name: 's' }).step(
      'a',
      ({ signal }) => {
        signal.addEventListener('abort', () => reasons.push(signal.reason))
        return never
      },
      { timeout: 2_000, compensate: () => 1 },
    )
    await using set = await setUp([saga])
    const run = await set.sagas.run(saga, 'a', 1)
    await set.clock.advance(1_999)
    assert.equal(reasons.length, 0)
    await set.clock.advance(1)
    const { failure } = await run.ended
    assert.match(String(reasons[0]), /TimeoutError/)
    assert.equal(failure?.effect, 'unknown')
    assert.equal((await set.sagas.get('a'))?.steps[0]?.state, 'undone')
  })

  test('in the transaction is done once, and leaves nothing when it fails', async () => {
    const rows: number[] = []
    const saga = defineSaga({ name: 's' }).step(
      'a',
      inTransaction(({ attempt }, transaction: MemoryTransaction) => {
        transaction.onCommit(() => void rows.push(attempt))
        if (attempt < 2) throw new Error('deadlock')
      }),
      { retry: { attempts: 2, backoff: fixed(100) } },
    )
    await using set = await setUp([saga])
    const run = await set.sagas.run(saga, 'a', 1)
    await set.clock.advance(1_000)
    assert.equal((await run.ended).outcome, 'completed')
    assert.deepEqual(rows, [2])
  })

  test('whose result cannot be stored was done, and is undone', async () => {
    let undone = 0
    const saga = defineSaga({ name: 's' }).step('a', () => 'x'.repeat(200), { compensate: () => ++undone })
    await using set = await setUp([saga], { maxBytes: 100 })
    const { failure } = await (await set.sagas.run(saga, 'a', 1)).ended
    assert.match(failure?.message ?? '', /202 bytes, at most 100/)
    assert.equal(undone, 1)
  })

  test('does not begin after the saga’s deadline', async () => {
    const done: string[] = []
    const saga = defineSaga({ name: 's', deadline: 1_000 })
      .step('a', ({ attempt }) => void (attempt < 3 ? fail() : done.push('a')), {
        retry: { attempts: 9, backoff: fixed(600) },
        compensate: () => void done.push('undo a'),
      })
      .step('b', () => void done.push('b'))
    await using set = await setUp([saga])
    const run = await set.sagas.run(saga, 'a', 1)
    await set.clock.advance(5_000)
    assert.match((await run.ended).failure?.message ?? '', /deadline/)
    assert.deepEqual(done, ['undo a'])
  })
})

describe('a compensation', () => {
  test('is tried without end, is visible when it is stuck, and goes on by itself', async () => {
    let works = false
    let tries = 0
    const saga = defineSaga({ name: 's' })
      .step('a', () => 1, {
        compensate: () => {
          tries++
          if (!works) throw new Error('away')
        },
        compensation: { backoff: fixed(1_000), stuckAfterAttempts: 3, stuckAfter: 1_000_000 },
      })
      .step('b', refuse)
    await using set = await setUp([saga])
    const run = await set.sagas.run(saga, 'x', 1)
    await set.clock.advance(1_500)
    assert.equal((await set.sagas.get('x'))?.stuckSince, undefined)
    await set.clock.advance(98_500)
    assert.ok(tries > 90, `${tries} tries`)
    const [stuck] = (await set.sagas.list({ stuck: true })).sagas
    assert.equal(stuck?.id, 'x')
    assert.equal(stuck.steps[0]?.compensationError?.message, 'away')
    assert.equal(stuck.steps[0]?.compensations, tries)
    assert.equal((await set.sagas.stats()).stuck, 1)
    assert.deepEqual(set.warnings, ['a saga is stuck; it is tried again'])
    works = true
    await set.clock.advance(1_000)
    assert.equal((await run.ended).outcome, 'compensated')
    assert.equal((await set.sagas.stats()).stuck, 0)
  })

  test('is tried at once when an operator says so', async () => {
    let works = false
    const saga = defineSaga({ name: 's' })
      .step('a', () => 1, {
        compensate: () => (works ? undefined : fail()),
        compensation: { backoff: fixed(1_000_000) },
      })
      .step('b', refuse)
    await using set = await setUp([saga])
    const run = await set.sagas.run(saga, 'x', 1)
    await set.clock.advance(1_000)
    works = true
    assert.equal(await set.sagas.retryNow('x'), true)
    assert.equal((await run.ended).outcome, 'compensated')
    assert.equal(await set.sagas.retryNow('x'), false)
    assert.equal(await set.sagas.retryNow('nobody'), false)
  })
})

const counts: unknown[] = []

function counted(run: () => never): () => never {
  return () => {
    counts.push(run)
    return run()
  }
}

function fail(): never {
  throw new Error('away')
}
