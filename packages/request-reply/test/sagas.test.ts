/** Many sagas and their store: what waits, is taken up, is told, is removed. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { MilenaError, OptionsError } from '../src/errors.ts'
import { defineSaga } from '../src/saga/definition.ts'
import { MemorySagaStore } from '../src/saga/memory-store.ts'
import { createSagas } from '../src/saga/open-sagas.ts'
import type { SagaStatus } from '../src/saga/status.ts'
import { ManualClock } from './manual-clock.ts'
import { never, refuse, setUp, turns } from './saga/set-up.ts'

describe('sagas', () => {
  test('beyond the concurrency are stored, and wait', async () => {
    let running = 0
    let most = 0
    const gate = Promise.withResolvers<void>()
    const saga = defineSaga({ name: 's' }).step('a', async () => {
      most = Math.max(most, ++running)
      await gate.promise
      running--
    })
    await using set = await setUp([saga], { concurrency: 3, maxRuns: 10 })
    const runs = await Promise.all(Array.from({ length: 10 }, (_, i) => set.sagas.run(saga, `${i}`, i)))
    await assert.rejects(set.sagas.run(saga, 'more', 1), { code: 'MILENA_OVERLOADED' })
    assert.equal(set.sagas.health().working, 3)
    assert.equal((await set.sagas.stats()).running, 10)
    gate.resolve()
    await set.clock.advance(5_000)
    for (const run of runs) assert.equal((await run.ended).outcome, 'completed')
    assert.equal(most, 3)
    assert.equal(set.sagas.health().runs, 0)
  })

  test('that are closed are taken up by another process, and whoever waits there is told', async () => {
    const gate = Promise.withResolvers<number>()
    const saga = defineSaga({ name: 's' }).step('a', ({ attempt }) => (attempt === 1 ? gate.promise : 2))
    const first = await setUp([saga])
    await using second = await setUp([saga], {}, first)
    const run = await first.sagas.run(saga, 'x', 1)
    const there = await second.sagas.run(saga, 'x', 1)
    const closed = first.sagas.close({ timeout: 100 })
    await first.clock.advance(200)
    await closed
    await assert.rejects(run.decided, { code: 'MILENA_CLOSED' })
    // The try that was given up is made again, as the same one.
    gate.resolve(1)
    await first.clock.advance(1_000)
    assert.deepEqual((await there.ended).results, { a: 1 })
  })

  test('are told as they change', async () => {
    const saga = defineSaga({ name: 's' })
      .step('a', () => 1)
      .step('b', ({ input }) => (input === 2 ? refuse() : 2))
    await using set = await setUp([saga])
    const told: SagaStatus[] = []
    const abort = new AbortController()
    const watching = (async () => {
      for await (const status of set.sagas.watch({ signal: abort.signal })) told.push(status)
    })()
    await set.clock.advance(1_000)
    for (const input of [1, 2]) await (await set.sagas.run(saga, `${input}`, input)).ended
    await set.clock.advance(1_000)
    abort.abort()
    await watching
    const last = new Map(told.map(({ id, state }) => [id, state]))
    assert.deepEqual(
      [...last],
      [
        ['1', 'completed'],
        ['2', 'compensated'],
      ],
    )
  })

  test('whose definition has changed are left alone, and visible', async () => {
    const before = defineSaga({ name: 's' })
      .step('a', () => 1)
      .step('b', () => never)
    const first = await setUp([before])
    await first.sagas.run(before, 'x', 1)
    await first[Symbol.asyncDispose]()
    const after = defineSaga({ name: 's' }).step('c', () => 1)
    await using second = await setUp([after], {}, first)
    await second.clock.advance(1_000)
    const [stuck] = (await second.sagas.list({ stuck: true })).sagas
    assert.match(stuck?.trouble ?? '', /has no step a in this place/)
  })

  test('that ended are removed after their time', async () => {
    const saga = defineSaga({ name: 's' }).step('a', () => 1)
    await using set = await setUp([saga], { keep: 100_000 })
    await (
      await set.sagas.run(saga, 'x', 1)
    ).ended
    await set.clock.advance(90_000)
    assert.ok(await set.sagas.get('x'))
    await set.clock.advance(100_000)
    assert.equal(await set.sagas.get('x'), undefined)
  })

  test('go on when the store was away, and say so meanwhile', async () => {
    const saga = defineSaga({ name: 's' })
      .step('a', () => 1)
      .step('b', () => 2)
    const clock = new ManualClock(turns)
    const kept = new MemorySagaStore({ clock })
    let away = false
    // What it does at first is done, but nobody learns of it.
    const store = new Proxy(kept, {
      get:
        (target, name) =>
        async (...given: unknown[]) => {
          const method = target[name as keyof MemorySagaStore] as (...given: unknown[]) => Promise<unknown>
          const lost = away
          const result = await method.apply(target, given)
          if (lost) throw new Error('connection lost')
          return result
        },
    })
    await using set = await setUp([saga], {}, { clock, store })
    away = true
    await assert.rejects(set.sagas.run(saga, 'x', 1), /connection lost/)
    await clock.advance(2_000)
    assert.equal(set.sagas.health().trouble?.message, 'connection lost')
    away = false
    await clock.advance(10_000)
    assert.equal((await kept.read(['x']))[0]?.state, 'completed')
    assert.equal(set.sagas.health().trouble, undefined)
    const run = await set.sagas.run(saga, 'y', 1)
    away = true
    await clock.advance(1_000)
    away = false
    await clock.advance(10_000)
    assert.equal((await run.ended).outcome, 'completed')
  })

  test('whose store does not answer say so, and give up what others may have by then', async () => {
    let given: AbortSignal | undefined
    const saga = defineSaga({ name: 's' }).step('a', ({ signal }) => {
      given = signal
      return never
    })
    const clock = new ManualClock(turns)
    const kept = new MemorySagaStore({ clock })
    let asked = 0
    let away = false
    const store = new Proxy(kept, {
      get:
        (target, name) =>
        (...args: unknown[]) => {
          if (away && name === 'renew') asked++
          if (away) return never
          return (target[name as keyof MemorySagaStore] as (...args: unknown[]) => unknown).apply(
            target,
            args,
          )
        },
    })
    await using set = await setUp([saga], { lease: 3_000 }, { clock, store })
    await set.sagas.run(saga, 'x', 1)
    away = true
    await clock.advance(2_500)
    assert.match(set.sagas.health().trouble!.message, /has not answered within 1000 ms/)
    assert.equal(given!.aborted, false)
    await clock.advance(3_000)
    assert.equal(given!.aborted, true)
    await clock.advance(60_000)
    assert.equal(asked, 3, 'what hangs does not gather')
    away = false
  })

  test('are listed by a filter that can be one', async () => {
    await using set = await setUp([defineSaga({ name: 's' }).step('a', () => 1)])
    const wrong = { state: 'done', since: NaN, limit: 0, after: "'; DROP", sinse: 1 } as never
    assert.throws(
      () => set.sagas.list(wrong),
      (error: unknown) => error instanceof OptionsError && error.problems.length === 5,
    )
  })

  test('list every problem of their options', () => {
    const empty = defineSaga({ name: 'empty' })
    assert.throws(
      () => createSagas({ store: {} as never, sagas: [empty], concurrency: 0, wrong: 1 } as never),
      (error: unknown) => error instanceof OptionsError && error.problems.length === 4,
    )
    assert.throws(
      () =>
        defineSaga({ name: 's' }).step(
          'a:b',
          1 as never,
          { timeout: 0, retry: { attempts: 0 }, x: 1 } as never,
        ),
      (error: unknown) => error instanceof OptionsError && error.problems.length === 5,
    )
    const saga = defineSaga({ name: 's' }).step('a', () => 1)
    const stopped = createSagas({ store: new MemorySagaStore(), sagas: [saga] })
    return assert.rejects(stopped.run(saga, 'a', 1), (error) => error instanceof MilenaError)
  })
})
