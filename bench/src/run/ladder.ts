/**
 * The ladder: every system beside every other, in interleaved blocks in random order, so that the machine's moods fall
 * on all of them alike. First the closed loop, whose best rate is a system's knee, then the open loop at shares of it.
 */
import type { ClosedLevel, MeasuredBlock, Measurement, OpenLevel } from '../results.ts'
import { seededRandom, shuffle } from '../schedule.ts'
import type { BlockPlan } from '../side/protocol.ts'
import { median } from '../statistics.ts'
import type { Pair } from './pair.ts'

export interface LadderPlan {
  readonly rounds: number
  readonly inFlights: readonly number[]
  /** Shares of the knee; none leaves the open loop out. */
  readonly shares: readonly number[]
  readonly closedMilliseconds: number
  readonly openMilliseconds: number
  readonly seed: number
}

/** A pair under the name that the tables have. */
export interface Runner {
  readonly name: string
  readonly pair: Pair
}

export interface LadderResult {
  readonly closed: readonly ClosedLevel[]
  readonly open: readonly OpenLevel[]
  /** Systems that failed on the way; they have no part in the levels from there on. */
  readonly failed: readonly { readonly name: string; readonly why: string }[]
}

/** Tells that a level has begun. */
export type Tell = (line: string) => void

export async function climb(runners: readonly Runner[], plan: LadderPlan, tell: Tell): Promise<LadderResult> {
  const random = seededRandom(plan.seed)
  const closed: ClosedLevel[] = []
  const open: OpenLevel[] = []
  const failed = new Map<string, string>()
  for (const inFlight of plan.inFlights) {
    tell(`closed loop, ${inFlight} in flight`)
    const block: BlockPlan = { kind: 'closed', inFlight, milliseconds: plan.closedMilliseconds }
    closed.push({
      inFlight,
      measurements: await interleave(runners, failed, plan.rounds, random, () => block),
    })
  }
  const knees = new Map(runners.map(({ name }) => [name, kneeOf(name, closed)]))
  // Without a broker there are hundreds of thousands a second, which no generator in one thread can schedule.
  const scheduled = runners.filter(({ pair }) => pair.system.durability !== 'no broker')
  for (const share of plan.shares) {
    tell(`open loop, ${share * 100} % of each knee`)
    const measurements = await interleave(scheduled, failed, plan.rounds, random, (name) => ({
      kind: 'open',
      rate: knees.get(name)! * share,
      milliseconds: plan.openMilliseconds,
      seed: Math.floor(random() * 2 ** 32),
    }))
    const rated = measurements.map(({ system, blocks }) => ({
      system,
      blocks,
      rate: knees.get(system)! * share,
    }))
    open.push({ share, measurements: rated })
  }
  return { closed, open, failed: [...failed].map(([name, why]) => ({ name, why })) }
}

/** The best median rate over the closed levels. */
function kneeOf(system: string, levels: readonly ClosedLevel[]): number {
  const rates = levels.map(({ measurements }) => {
    const blocks = measurements.find((measured) => measured.system === system)?.blocks ?? []
    return blocks.length === 0 ? 0 : median(blocks.map((block) => block.perSecond))
  })
  return Math.max(1, ...rates)
}

/** The first runner is the one that others are compared with: without it there is no run. */
async function interleave(
  runners: readonly Runner[],
  failed: Map<string, string>,
  rounds: number,
  random: () => number,
  planFor: (name: string) => BlockPlan,
): Promise<Measurement[]> {
  const blocks = new Map<string, MeasuredBlock[]>(runners.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const { name, pair } of shuffle(runners, random)) {
      if (failed.has(name)) continue
      try {
        blocks.get(name)!.push(await pair.measure(planFor(name)))
      } catch (error) {
        if (name === runners[0]!.name) throw error
        failed.set(name, (error as Error).message)
      }
    }
  }
  return [...blocks]
    .filter(([system]) => !failed.has(system))
    .map(([system, measured]) => ({ system, blocks: measured }))
}
