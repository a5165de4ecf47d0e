/** Tables as the page and the console have them: rows of named cells. */
import { threeFigures } from '../statistics.ts'
import type { Summary } from './summary.ts'

export type Row = Readonly<Record<string, string | number>>

/**
 * How fast. Ratios only where there is another system to compare with, and how late the generator was only where it has a
 * schedule: in the open loop each system runs at a rate of its own.
 */
export function speedRow(summary: Summary): Row {
  const { ratios, rate } = summary
  return {
    system: summary.system,
    ...(rate === undefined ? {} : { 'offered/s': figure(rate) }),
    'requests/s': figure(summary.perSecond),
    'p50 ms': figure(summary.p50),
    'p90 ms': figure(summary.p90),
    'p99 ms': figure(summary.p99),
    'p99.9 ms': figure(summary.p999),
    'max ms': figure(summary.max),
    failed: failures(summary),
    ...(rate === undefined
      ? {
          'requests/s ×': estimate(ratios.perSecond),
          'p50 ×': estimate(ratios.p50),
          'p99 ×': estimate(ratios.p99),
        }
      : { 'generator late p99 ms': figure(summary.lag) }),
  }
}

/** What it took, and how the blocks went. */
export function costRow(summary: Summary): Row {
  return {
    system: summary.system,
    'CPU requester µs': figure(summary.cpuAsker),
    'CPU replier µs': figure(summary.cpuAnswerer),
    'CPU broker µs': figure(summary.cpuBroker),
    ...(summary.rate === undefined ? { 'CPU of both sides ×': estimate(summary.ratios.cpu) } : {}),
    'RSS requester MiB': figure(summary.memoryAsker),
    'RSS replier MiB': figure(summary.memoryAnswerer),
    'RSS broker MiB': figure(summary.memoryBroker),
    blocks: summary.blocks,
    marked: summary.marked,
    repeated: summary.discarded,
  }
}

export function markdownTable(rows: readonly Row[]): string {
  const names = Object.keys(rows[0] ?? {})
  return [
    line(names),
    `|${names.map(() => '---').join('|')}|`,
    ...rows.map((row) => line(names.map((name) => row[name] ?? ''))),
  ].join('\n')
}

function line(cells: readonly (string | number)[]): string {
  return `| ${cells.map((cell) => text(cell).replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`
}

function text(cell: string | number): string {
  return typeof cell === 'number' ? figure(cell) : cell
}

/** Three significant figures; a dash for what is not known. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '–'
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en').replaceAll(',', ' ')
  return String(threeFigures(value))
}

function failures({ errors, timeouts, rejected }: Summary): string {
  const kinds = [
    [errors, 'errors'],
    [timeouts, 'time-outs'],
    [rejected, 'rejected'],
  ] as const
  return (
    kinds
      .map(([count, kind]) => (count === 0 ? '' : `${count} ${kind}`))
      .filter(Boolean)
      .join(', ') || '0'
  )
}

function estimate({ median, low, high }: Summary['ratios']['p50']): string {
  return Number.isFinite(median) ? `${median.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})` : '–'
}
