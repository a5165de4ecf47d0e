/** One setting varied, everything else as usual: cost and memory may not have a cliff anywhere. */
import type { MeasuredBlock, SituationResult } from '../results.ts'
import type { Stage } from '../run/pair.ts'
import { cpuPerRequest } from '../run/cpu-per-request.ts'
import { threeFigures } from '../statistics.ts'
import type { BenchSystem, Setting } from '../system.ts'
import { withPair } from './with-pair.ts'

export interface Sweep {
  readonly system: BenchSystem
  readonly setting: keyof Setting
  readonly values: readonly number[]
  readonly inFlight: number
  /** What a value is, for the table. */
  readonly label: string
}

export async function sweep(
  stage: Stage,
  { system, setting, values, inFlight, label }: Sweep,
  milliseconds: number,
): Promise<Pick<SituationResult, 'rows' | 'chart'>> {
  const measured: [value: number, block: MeasuredBlock][] = []
  for (const value of values) {
    const block = await withPair(stage, system, { [setting]: value }, (pair) =>
      pair.measure({ kind: 'closed', inFlight, milliseconds }),
    )
    measured.push([value, block])
  }
  return {
    rows: measured.map(([value, block]) => ({ [label]: value, ...blockRow(block) })),
    chart: {
      title: `CPU per request against ${label}`,
      x: label,
      y: 'µs',
      logarithmic: true,
      lines: [
        { name: 'requester', points: measured.map(([value, block]) => [value, cpuPerRequest(block).asker]) },
        { name: 'replier', points: measured.map(([value, block]) => [value, cpuPerRequest(block).answerer]) },
      ],
    },
  }
}

export function blockRow(block: MeasuredBlock): Record<string, string | number> {
  const cpu = cpuPerRequest(block)
  return {
    'requests/s': Math.round(block.perSecond),
    'p50 ms': round(block.latency.p50),
    'p99 ms': round(block.latency.p99),
    'CPU requester µs': round(cpu.asker),
    'CPU replier µs': round(cpu.answerer),
    'CPU broker µs': round(cpu.broker),
    'RSS requester MiB': round(block.memory.asker ?? Number.NaN),
    'RSS replier MiB': round(block.memory.answerer ?? Number.NaN),
    'time-outs': block.timeouts,
    errors: block.errors,
    marks: block.marks.join(', '),
  }
}

function round(value: number): number | string {
  return Number.isNaN(value) ? '–' : threeFigures(value)
}
