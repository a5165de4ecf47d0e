/** Tables as the page and the console have them: rows of named cells. */
import { threeFigures } from '../statistics.ts'
import type { Summary } from './summary.ts'

export type Row = Readonly<Record<string, string | number>>

/** Ratios only where there is another system to compare with: in the open loop each runs at a rate of its own. */
export function summaryRow(summary: Summary): Row {
  const { ratios } = summary
  return {
    system: summary.system,
    ...(summary.rate === undefined ? {} : { 'offered/s': figure(summary.rate) }),
    'requests/s': figure(summary.perSecond),
    'p50 ms': figure(summary.p50),
    'p90 ms': figure(summary.p90),
    'p99 ms': figure(summary.p99),
    'p99.9 ms': figure(summary.p999),
    'max ms': figure(summary.max),
    failed: failures(summary),
    'CPU µs requester · replier · broker': figures(summary.cpuAsker, summary.cpuAnswerer, summary.cpuBroker),
    'RSS MiB requester · replier · broker': figures(
      summary.memoryAsker,
      summary.memoryAnswerer,
      summary.memoryBroker,
    ),
    ...(summary.rate === undefined
      ? {
          'requests/s ×': estimate(ratios.perSecond),
          'p50 ×': estimate(ratios.p50),
          'p99 ×': estimate(ratios.p99),
          'CPU ×': estimate(ratios.cpu),
        }
      : {}),
    'blocks (marked, repeated)': `${summary.blocks} (${summary.marked}, ${summary.discarded})`,
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
  return `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`
}

/** Three significant figures; a dash for what is not known. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '–'
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en').replaceAll(',', ' ')
  return String(threeFigures(value))
}

function figures(...values: readonly number[]): string {
  return values.map(figure).join(' · ')
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
