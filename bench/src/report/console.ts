import type { RunResult } from '../results.ts'
import { summarize } from './summary.ts'
import { costRow, speedRow, type Row } from './table.ts'

/** What matters most of each level; the page has the rest. */
export function printResult(result: RunResult): void {
  for (const { inFlight, measurements } of result.closed) {
    const rows = summarize(measurements, result).map((of) => Object.assign({}, speedRow(of), costRow(of)))
    printTable(
      `${inFlight} in flight; ratios to ${result.baseline}, in brackets their 95 % interval`,
      rows.map((row) =>
        pick(row, [
          'system',
          'requests/s',
          'p50 ms',
          'p99 ms',
          'requests/s ×',
          'p50 ×',
          'CPU of both sides ×',
          'failed',
        ]),
      ),
    )
  }
  for (const { share, measurements } of result.open) {
    const rows = summarize(measurements, result).map(speedRow)
    printTable(
      `open loop at ${share * 100} % of each system's knee`,
      rows.map((row) =>
        pick(row, [
          'system',
          'offered/s',
          'requests/s',
          'p50 ms',
          'p99 ms',
          'max ms',
          'generator late p99 ms',
          'failed',
        ]),
      ),
    )
  }
  for (const { title, rows } of result.situations) printTable(title, rows)
  for (const { name, why } of result.leftOut) console.log(`left out: ${name}: ${why}`)
  const marked = [...result.closed, ...result.open].flatMap(({ measurements }) =>
    measurements.flatMap(({ blocks }) => blocks.filter((block) => block.marks.length > 0)),
  )
  if (marked.length > 0) {
    console.log(
      `${marked.length} blocks are marked: something else used the machine, or the generator was late`,
    )
  }
}

function pick(row: Row, names: readonly string[]): Row {
  return Object.fromEntries(names.map((name) => [name, row[name] ?? '']))
}

function printTable(title: string, rows: readonly Row[]): void {
  console.log(`\n${title}`)
  console.table(rows)
}
