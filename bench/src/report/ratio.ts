/** Ratios within one run: of the blocks of the same round, and of them the median. */
import type { MeasuredBlock } from '../results.ts'
import { cpuPerRequest } from '../run/cpu-per-request.ts'
import { seededRandom } from '../schedule.ts'
import { allowsQuantile, bootstrapMedian, type Estimate } from '../statistics.ts'

export type Metric = 'perSecond' | 'p50' | 'p99' | 'cpu'

const valueOf: Readonly<Record<Metric, (block: MeasuredBlock) => number>> = {
  perSecond: (block) => block.perSecond,
  p50: (block) => block.latency.p50,
  p99: (block) => block.latency.p99,
  cpu: (block) => cpuPerRequest(block).asker + cpuPerRequest(block).answerer,
}

/** NaN where one of them has too few samples for the quantile. */
export function ratio(
  metric: Metric,
  blocks: readonly MeasuredBlock[],
  base: readonly MeasuredBlock[],
): Estimate {
  const known =
    metric !== 'p99' || (allowsQuantile(samplesOf(blocks), 0.99) && allowsQuantile(samplesOf(base), 0.99))
  if (!known) return { median: Number.NaN, low: Number.NaN, high: Number.NaN }
  const values = blocks.flatMap((block, round) => {
    const other = base[round]
    return other === undefined ? [] : [valueOf[metric](block) / valueOf[metric](other)]
  })
  return bootstrapMedian(values, seededRandom(1))
}

/** Answered round trips of all blocks. */
export function samplesOf(blocks: readonly MeasuredBlock[]): number {
  return blocks.reduce((sum, { latency }) => sum + latency.count, 0)
}
