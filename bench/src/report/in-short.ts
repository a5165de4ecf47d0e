/** What a newcomer wants to know first: each system in one line, on every kind of brokers. */
import type { RunResult } from '../results.ts'
import { summarize } from './summary.ts'
import { figure, markdownTable, type Row } from './table.ts'

const measures = [
  { name: 'requests/s at 64 in flight', inFlight: 64, metric: 'perSecond' },
  { name: 'p50 ms at 1 in flight', inFlight: 1, metric: 'p50' },
] as const

/** Of runs with a ladder, the fastest of the first one's systems first. */
export function inShort(ladders: readonly RunResult[]): string {
  const columns = ladders.flatMap((run) =>
    measures.map((measure) => ({
      name: `${run.brokers.name}: ${measure.name}`,
      values: valuesOf(run, measure),
    })),
  )
  const first = ladders[0]!
  const rate = ({ name }: { readonly name: string }): number => columns[0]!.values.get(name) || 0
  const others = first.systems
    .filter(({ name }) => name !== first.control)
    .toSorted((a, b) => classes.indexOf(a.durability) - classes.indexOf(b.durability) || rate(b) - rate(a))
  const rows = others.map(({ name, durability }): Row => {
    const system = durability === 'durable' ? name : `${name} (${durability})`
    const cells = columns.map((column) => [column.name, figure(column.values.get(name) ?? Number.NaN)])
    return Object.fromEntries([['system', system], ...cells])
  })
  return markdownTable(rows)
}

const classes = ['durable', 'not durable', 'no broker']

/** By system. */
function valuesOf(
  run: RunResult,
  { inFlight, metric }: (typeof measures)[number],
): ReadonlyMap<string, number> {
  const level = run.closed.find((closed) => closed.inFlight === inFlight)
  return new Map(summarize(level?.measurements ?? [], run).map((each) => [each.system, each[metric]]))
}
