import assert from 'node:assert/strict'
import { test } from 'node:test'
import { climb, type LadderPlan, type Runner } from '../src/run/ladder.ts'
import type { MeasuredBlock } from '../src/results.ts'
import type { BlockPlan } from '../src/side/protocol.ts'

const plan: LadderPlan = {
  rounds: 4,
  inFlights: [1, 64],
  shares: [0.5],
  closedMilliseconds: 10,
  openMilliseconds: 20,
  seed: 1,
}

/** What was measured, in order. */
type Log = { readonly name: string; readonly plan: BlockPlan }[]

/** A runner that carries `knee` requests a second at most, and ten times fewer at 1 in flight. */
function runner(name: string, knee: number, log: Log, durability = 'durable'): Runner {
  const measure = async (block: BlockPlan): Promise<MeasuredBlock> => {
    log.push({ name, plan: block })
    if (Number.isNaN(knee)) throw new Error(`${name} is broken`)
    const perSecond = block.kind === 'open' ? block.rate : block.inFlight === 1 ? knee / 10 : knee
    return { perSecond } as MeasuredBlock
  }
  return { name, pair: { system: { durability }, measure } as unknown as Runner['pair'] }
}

test('each round has every system once, and the order changes', async () => {
  const log: Log = []
  const names = ['base', 'b', 'c', 'd']
  await climb(
    names.map((name) => runner(name, 100, log)),
    { ...plan, rounds: 8 },
    () => {},
  )
  const rounds = log.flatMap((_, at) => (at % 4 === 0 ? [log.slice(at, at + 4).map(({ name }) => name)] : []))
  for (const round of rounds) assert.deepEqual(round.toSorted(), names.toSorted())
  assert.ok(new Set(rounds.map((round) => round.join())).size > 4)
})

test('the open loop asks each system for a share of its own best rate, on a new schedule each time', async () => {
  const log: Log = []
  const { open } = await climb([runner('base', 1_000, log), runner('slow', 200, log)], plan, () => {})
  assert.deepEqual(
    open[0]!.measurements.map(({ system, rate }) => [system, rate]),
    [
      ['base', 500],
      ['slow', 100],
    ],
  )
  const seeds = log.flatMap((entry) => (entry.plan.kind === 'open' ? [entry.plan.seed] : []))
  assert.equal(new Set(seeds).size, 8)
})

test('a system that fails is named and has no part from there on; without the baseline there is no run', async () => {
  const log: Log = []
  const { closed, open, failed } = await climb(
    [
      runner('base', 1_000, log),
      runner('broken', Number.NaN, log),
      runner('no broker', 10, log, 'no broker'),
    ],
    plan,
    () => {},
  )
  assert.deepEqual(failed, [{ name: 'broken', why: 'broken is broken' }])
  assert.equal(log.filter(({ name }) => name === 'broken').length, 1)
  for (const { measurements } of closed) {
    assert.deepEqual(
      measurements.map(({ system }) => system),
      ['base', 'no broker'],
    )
  }
  assert.deepEqual(
    open[0]!.measurements.map(({ system }) => system),
    ['base'],
  )
  await assert.rejects(
    climb([runner('base', Number.NaN, [])], plan, () => {}),
    /base is broken/,
  )
})
