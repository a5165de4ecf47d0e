/** All systems at one rate, which the slowest may not carry: what their users would notice of each other's place. */
import type { MeasuredBlock, TargetResult } from '../results.ts'
import { ratio } from '../report/ratio.ts'
import { summarize } from '../report/summary.ts'
import { speedRow } from '../report/table.ts'
import { judge } from '../report/targets.ts'
import { lineUp } from '../run/lineup.ts'
import { seededRandom, shuffle } from '../schedule.ts'
import { baseline } from '../systems/index.ts'
import { replyPartitionBytes } from '../systems/milena.ts'
import { nestDefault, nestForLatency } from '../systems/nestjs.ts'
import type { Situation } from './situation.ts'

const rate = 1_000
/** Of a block; with `rounds` of them, enough for a p99. */
const milliseconds = 2_200
const rounds = 5

const compared = [replyPartitionBytes, nestDefault, nestForLatency]
const limit = 0.1

export const fixedRate: Situation = {
  name: 'fixed-rate',
  title: `${rate} requests/s at random times`,
  async run(stage) {
    const { runners, leftOut } = await lineUp(stage, (system) => compared.includes(system))
    const blocks = new Map<string, MeasuredBlock[]>(runners.map(({ name }) => [name, []]))
    try {
      const random = seededRandom(1)
      for (let round = 1; round <= rounds; round++) {
        for (const { name, pair } of shuffle(runners, random)) {
          // One schedule a round, the same for all.
          blocks.get(name)!.push(await pair.measure({ kind: 'open', rate, milliseconds, seed: round }))
        }
      }
    } finally {
      await Promise.all(runners.map(({ pair }) => pair.close()))
    }
    const measurements = [...blocks].map(([system, of]) => ({ system, blocks: of, rate }))
    return {
      rows: [
        ...summarize(measurements, { baseline: baseline.name }).map((of) =>
          Object.assign({}, speedRow(of), { marked: of.marked }),
        ),
        ...leftOut.map(({ name, why }) => ({ system: name, failed: `left out: ${why.split('\n')[0]}` })),
      ],
      targets: [nestDefault, nestForLatency].flatMap(({ name }) => targetOf(blocks, name)),
    }
  },
}

function targetOf(blocks: ReadonlyMap<string, readonly MeasuredBlock[]>, other: string): TargetResult[] {
  const [own, others] = [blocks.get(replyPartitionBytes.name), blocks.get(other)]
  if (own === undefined || others === undefined) return []
  const target = `p99 at ${rate} requests/s at random times, ${replyPartitionBytes.name} to ${other}: ≤ ${limit}`
  return [judge(target, ratio('p99', own, others), (median) => median <= limit)]
}
