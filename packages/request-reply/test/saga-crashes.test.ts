import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { MemorySagaStore } from '../src/saga/memory-store.ts'
import type { Sagas } from '../src/saga/sagas.ts'
import { ManualClock } from './manual-clock.ts'
import { AllWorks, type LastStep } from './saga/all-works.ts'
import { crashingStore, type Crash } from './saga/crashing-store.ts'

const everyStep = { function: 1, once: 1, rows: 1, asked: 1, told: 1, last: 1 }

describe('a process that ends at any call of the store', () => {
  for (const last of ['done', 'refused', 'unknown', 'unknown and done'] satisfies LastStep[]) {
    test(`the last step ${last}: the saga is done whole, or undone whole`, async () => {
      let at = 0
      let crashed = true
      // Until there is no such call any more.
      while (crashed) {
        at++
        for (const when of ['before', 'after'] as const) crashed = await crashOnce(last, [{ at, when }])
      }
      assert.ok(at > 12, `there were ${at} calls`)
    })
  }

  test('again and again, at random calls', async () => {
    let seed = 42
    const random = (below: number): number => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % below
    for (let round = 0; round < 150; round++) {
      const crashes = Array.from({ length: 3 }, (): Crash => ({
        at: 2 + random(14),
        when: random(2) === 0 ? 'before' : 'after',
      }))
      const last = (['done', 'refused', 'unknown', 'unknown and done'] satisfies LastStep[])[random(4)]!
      await crashOnce(last, crashes)
    }
  })
})

/** One process after the other has the store; the last one does not crash. Whether the first one did. */
async function crashOnce(last: LastStep, crashes: readonly Crash[]): Promise<boolean> {
  const clock = new ManualClock(turns)
  const kept = new MemorySagaStore({ clock })
  const works = new AllWorks(clock, last)
  const where = `${last}, ${JSON.stringify(crashes)}`
  let firstDied = false
  for (const crash of [...crashes, undefined]) {
    const link = crashingStore(kept, crash)
    const sagas = works.process(link.store)
    void sagas.start().catch(() => undefined)
    await clock.advance(0)
    void sagas.run(works.saga, 's', 1).catch(() => undefined)
    await until(clock, works, sagas, async () => {
      const [status] = await kept.read(['s'])
      return link.dead || status?.endedAt !== undefined
    })
    if (crash !== undefined && crash === crashes[0]) firstDied = link.dead
    if (!link.dead) {
      void sagas.close({ timeout: 0 }) // which may be what it ends in
      await clock.advance(0)
      break
    }
  }
  const [status] = await kept.read(['s'])
  assert.ok(status?.endedAt !== undefined, `${where}: it has not ended: ${JSON.stringify(status)}`)
  const net = status.state === 'completed' ? everyStep : {}
  assert.deepEqual(works.world.net, net, `${where}: ${status.state}: ${JSON.stringify(status)}`)
  if (last !== 'done') assert.equal(status.state, 'compensated', where)
  for (const once of ['s:once']) assert.ok((works.world.calls.get(once) ?? 0) <= 1, `${where}: ${once} twice`)
  for (const amount of works.world.applied.values()) assert.ok(amount === 0 || amount === 1, where)
  return firstDied
}

async function until(
  clock: ManualClock,
  works: AllWorks,
  sagas: Sagas,
  done: () => Promise<boolean>,
): Promise<void> {
  for (let turn = 0; turn < 60; turn++) {
    if (await done()) return
    await works.answer(sagas)
    await clock.advance(turn < 3 ? 10 : 15_000)
  }
}

/** Nothing here waits for anything but promises. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
}
