/** From blocks to a table's rows: medians over the blocks, and ratios to the baseline's block of the same round. */
import type { MeasuredBlock, Measurement, RunResult } from '../results.ts'
import { cpuPerRequest } from '../run/cpu-per-request.ts'
import type { Quantiles } from '../side/latencies.ts'
import { allowsQuantile, median, type Estimate } from '../statistics.ts'
import { ratio, type Metric } from './ratio.ts'

export interface Summary {
  readonly system: string
  /** Requested a second; undefined in the closed loop. */
  readonly rate?: number
  readonly perSecond: number
  /** Milliseconds; NaN where there are too few samples to say so. */
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  /** Of all blocks. */
  readonly max: number
  readonly errors: number
  readonly timeouts: number
  readonly rejected: number
  /** p99 of how late the generator sent, in milliseconds; NaN where it does not say. */
  readonly lag: number
  /** Microseconds a request. */
  readonly cpuAsker: number
  readonly cpuAnswerer: number
  readonly cpuBroker: number
  /** MiB. */
  readonly memoryAsker: number
  readonly memoryAnswerer: number
  readonly memoryBroker: number
  readonly ratios: Readonly<Record<Metric, Estimate>>
  readonly blocks: number
  readonly marked: number
  readonly discarded: number
}

export function summarize(
  measurements: readonly (Measurement & { readonly rate?: number })[],
  { baseline }: Pick<RunResult, 'baseline'>,
): Summary[] {
  const base = measurements.find(({ system }) => system === baseline)?.blocks ?? []
  return measurements.map(({ system, blocks, rate }) => summaryOf(system, rate, blocks, base))
}

function summaryOf(
  system: string,
  rate: number | undefined,
  blocks: readonly MeasuredBlock[],
  base: readonly MeasuredBlock[],
): Summary {
  const middle = (pick: (block: MeasuredBlock) => number | undefined): number =>
    median(blocks.map((block) => pick(block) ?? Number.NaN))
  const sum = (pick: (block: MeasuredBlock) => number): number =>
    blocks.reduce((total, block) => total + pick(block), 0)
  const samples = sum((block) => block.latency.count)
  const at = (key: keyof Quantiles, q: number): number =>
    allowsQuantile(samples, q) ? middle((block) => block.latency[key]) : Number.NaN
  return {
    system,
    ...(rate === undefined ? {} : { rate }),
    perSecond: middle((block) => block.perSecond),
    p50: at('p50', 0.5),
    p90: at('p90', 0.9),
    p99: at('p99', 0.99),
    p999: at('p999', 0.999),
    max: Math.max(...blocks.map((block) => block.latency.max)),
    errors: sum((block) => block.errors),
    timeouts: sum((block) => block.timeouts),
    rejected: sum((block) => block.rejected),
    lag: middle((block) => block.lag?.p99),
    cpuAsker: middle((block) => cpuPerRequest(block).asker),
    cpuAnswerer: middle((block) => cpuPerRequest(block).answerer),
    cpuBroker: middle((block) => cpuPerRequest(block).broker),
    memoryAsker: middle((block) => block.memory.asker),
    memoryAnswerer: middle((block) => block.memory.answerer),
    memoryBroker: middle((block) => block.memory.broker),
    ratios: {
      perSecond: ratio('perSecond', blocks, base),
      p50: ratio('p50', blocks, base),
      p99: ratio('p99', blocks, base),
      cpu: ratio('cpu', blocks, base),
    },
    blocks: blocks.length,
    marked: blocks.filter((block) => block.marks.length > 0).length,
    discarded: sum((block) => block.discarded),
  }
}
