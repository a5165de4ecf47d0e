/** What a newcomer wants to know first: each system in one line, on every kind of brokers. */
import type { RunResult } from '../results.ts'
import { summarize } from './summary.ts'
import { figure, markdownTable, type Row } from './table.ts'

const columns = [
  { name: 'requests/s at 64 in flight', inFlight: 64, metric: 'perSecond' },
  { name: 'p50 ms at 1 in flight', inFlight: 1, metric: 'p50' },
] as const

/** Of runs with a ladder, the fastest of the first one's systems first. */
export function inShort(ladders: readonly RunResult[]): string {
  const first = ladders[0]!
  const rate = ({ name }: { readonly name: string }): number => value(first, name, columns[0]) || 0
  const others = first.systems
    .filter(({ name }) => name !== first.control)
    .toSorted((a, b) => classes.indexOf(a.durability) - classes.indexOf(b.durability) || rate(b) - rate(a))
  const rows = others.map(({ name, durability }): Row => {
    const system = durability === 'durable' ? name : `${name} (${durability})`
    return Object.fromEntries([['system', system], ...ladders.flatMap((run) => cells(run, name))])
  })
  return markdownTable(rows)
}

const classes = ['durable', 'not durable', 'no broker']

function cells(run: RunResult, system: string): [name: string, cell: string][] {
  return columns.map((column) => [`${run.brokers.name}: ${column.name}`, figure(value(run, system, column))])
}

function value(run: RunResult, system: string, { inFlight, metric }: (typeof columns)[number]): number {
  const level = run.closed.find((closed) => closed.inFlight === inFlight)
  const summary = summarize(level?.measurements ?? [], run).find((each) => each.system === system)
  return summary?.[metric] ?? Number.NaN
}
