/** What we mean to reach, and what a run says of it. */
import type { MeasuredBlock, RunResult, TargetResult } from '../results.ts'
import { replyPartitionBytes, replyPartitionJson } from '../systems/milena.ts'
import { nestDefault, nestForLatency } from '../systems/nestjs.ts'
import { rabbitDirectReply } from '../systems/rabbitmq.ts'
import { springForLatency } from '../systems/spring.ts'
import { baseline } from '../systems/index.ts'
import type { BenchSystem } from '../system.ts'
import type { Estimate } from '../statistics.ts'
import { ratio, type Metric } from './ratio.ts'
import { figure } from './table.ts'

/** A ratio of one system to another in the closed loop. */
interface Target {
  readonly of: BenchSystem
  readonly to: BenchSystem
  readonly metric: Metric
  readonly inFlight: number
  readonly atMost?: number
  readonly atLeast?: number
  /** Where the other one keeps one durable copy, only brokers that do so too are compared. */
  readonly oneCopy?: true
}

const bytes = replyPartitionBytes
const documents = replyPartitionJson

const targets: readonly Target[] = [
  { of: bytes, to: baseline, inFlight: 1, metric: 'p50', atMost: 1.05 },
  { of: bytes, to: baseline, inFlight: 1, metric: 'p99', atMost: 1.2 },
  ...[64, 256].flatMap((inFlight): Target[] => [
    { of: bytes, to: baseline, inFlight, metric: 'perSecond', atLeast: 0.9 },
    { of: documents, to: baseline, inFlight, metric: 'perSecond', atLeast: 0.6 },
    { of: bytes, to: baseline, inFlight, metric: 'cpu', atMost: 1.25 },
    { of: documents, to: baseline, inFlight, metric: 'cpu', atMost: 1.8 },
  ]),
  ...[1, 64].flatMap((inFlight): Target[] => [
    { of: bytes, to: springForLatency, inFlight, metric: 'p50', atMost: 0.5 },
    { of: bytes, to: springForLatency, inFlight, metric: 'p99', atMost: 0.5 },
  ]),
  ...[64, 256].map((inFlight): Target => ({
    of: bytes,
    to: springForLatency,
    inFlight,
    metric: 'perSecond',
    atLeast: 2.5,
  })),
  ...[nestDefault, nestForLatency].map((to): Target => ({
    of: bytes,
    to,
    inFlight: 64,
    metric: 'perSecond',
    atLeast: 8,
  })),
  { of: bytes, to: rabbitDirectReply, inFlight: 64, metric: 'perSecond', atLeast: 1.5, oneCopy: true },
  { of: bytes, to: rabbitDirectReply, inFlight: 1, metric: 'p50', atMost: 1.1, oneCopy: true },
]

const names: Readonly<Record<Metric, string>> = {
  perSecond: 'requests/s',
  p50: 'p50',
  p99: 'p99',
  cpu: 'CPU of both sides',
}

/** Of a run's ladder and its situations; targets whose systems did not take part are left out. */
export function targetResults(run: RunResult): TargetResult[] {
  const copies = /RF (\d+)/.exec(run.brokers.durability)?.[1]
  const ofLadder = targets.flatMap((target) => {
    if (target.oneCopy && copies !== '1') return []
    const estimate = measure(target, run)
    return estimate === undefined ? [] : [resultOf(target, estimate)]
  })
  return [...ofLadder, ...run.situations.flatMap((situation) => situation.targets ?? [])]
}

function measure({ of, to, metric, inFlight }: Target, run: RunResult): Estimate | undefined {
  const blocksOf = ({ name }: BenchSystem): readonly MeasuredBlock[] | undefined =>
    run.closed
      .find((level) => level.inFlight === inFlight)
      ?.measurements.find(({ system }) => system === name)?.blocks
  const [blocks, base] = [blocksOf(of), blocksOf(to)]
  return blocks === undefined || base === undefined ? undefined : ratio(metric, blocks, base)
}

function resultOf(target: Target, estimate: Estimate): TargetResult {
  const { of, to, metric, inFlight, atMost, atLeast } = target
  const limit = atMost === undefined ? `≥ ${atLeast}` : `≤ ${atMost}`
  const name = `${names[metric]} at ${inFlight} in flight, ${of.name} to ${to.name}: ${limit}`
  return judge(name, estimate, (median) => (atMost === undefined ? median >= atLeast! : median <= atMost))
}

/** A ratio beside what is to be reached; no verdict where there were too few samples. */
export function judge(
  target: string,
  { median, low, high }: Estimate,
  reaches: (median: number) => boolean,
): TargetResult {
  if (Number.isNaN(median)) return { target, figure: 'too few samples' }
  return { target, figure: `${figure(median)} (${figure(low)}–${figure(high)})`, met: reaches(median) }
}
