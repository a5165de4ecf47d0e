/** The outcome as lines of text, on a terminal and in a report. */
import type { Cells } from '@milena/hosting'
import type { Everywhere } from './everywhere.ts'
import type { WayOutcome } from './storming.ts'
import type { Usage } from './usage.ts'

/** One column for each way. */
export function waysTable(ways: readonly WayOutcome[]): Cells {
  const line = (title: string, read: (outcome: WayOutcome) => string | number): string[] => [
    title,
    ...ways.map((outcome) => String(read(outcome))),
  ]
  return [
    line('', ({ way }) => way),
    line('changes fired', ({ fired }) => fired),
    line('made', ({ made }) => made),
    line('refused by the rules, caller told', ({ refused }) => refused),
    line('failed, caller told', ({ failedTold }) => failedTold),
    line('caller not told', ({ untold }) => untold),
    line('lost', ({ lost }) => lost),
    line('out of order, as accepted', ({ outOfOrder }) => outOfOrder),
    line('out of order, as fired', ({ outOfFiringOrder }) => outOfFiringOrder),
    line('deadlocks', ({ deadlocks }) => deadlocks),
    line('lock timeouts', ({ lockTimeouts }) => lockTimeouts),
    line('changes made a second', ({ made, took }) => Math.round((made * 1_000) / took)),
    line('the storm took', ({ took }) => seconds(took)),
    line('caller knows after: p50', ({ p50 }) => milliseconds(p50)),
    line('p99', ({ p99 }) => milliseconds(p99)),
  ]
}

export function everywhereTable({ triggers }: Everywhere): Cells {
  return [
    ['trigger', 'shops', 'made', 'not made, caller told', 'not known', 'round trip p50', 'p99'],
    ...triggers.map(({ kind, action, total, done, failed, unknown, p50, p99 }) => [
      `${kind} ${action}s`,
      ...[total, done, failed, unknown].map(String),
      milliseconds(p50),
      milliseconds(p99),
    ]),
  ]
}

export function usageTable({ took, parts }: Usage): Cells {
  return [
    ['process', 'processor time', 'of one processor'],
    ...parts
      .filter(({ cpu }) => cpu >= took / 100)
      .map(({ name, cpu }) => [name, seconds(cpu), `${Math.round((cpu * 100) / took)} %`]),
  ]
}

export function rateOf({ changes, took, kills }: Everywhere): string {
  const rate = Math.round((changes * 1_000) / took)
  const killed = kills === 0 ? '' : `, while workers were killed ${kills} times`
  return `${changes} changes in ${seconds(took)}: ${rate} a second${killed}`
}

export function memoryOf({ memory }: Everywhere): string {
  if (memory.length === 0) return "the requesters' memory is not known: no /proc here"
  const each = memory.map(
    ({ name, before, marked, most }) =>
      `${name} ${[before, ...marked].map((one) => one.toFixed(0)).join(', ')} (at most ${most.toFixed(0)})`,
  )
  return `resident memory in MiB, before and after each quarter of the changes: ${each.join('; ')}`
}

function milliseconds(value: number): string {
  return Number.isNaN(value) ? '-' : `${value.toFixed(0)} ms`
}

function seconds(value: number): string {
  return `${(value / 1_000).toFixed(1)} s`
}
