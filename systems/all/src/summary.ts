/** The table at the end: what each system has shown, how long it took, and whether it has. */
import { lastLineOf, type Ended } from './command-run.ts'
import { typed, type System } from './systems.ts'

export interface Result extends Ended {
  readonly system: System
  /** Milliseconds. */
  readonly took: number
}

const widest = 110

export function summary(results: readonly Result[]): string {
  const rows = results.map((result) => [
    result.system.name,
    typed(result.system),
    `${(result.took / 1000).toFixed(0)} s`,
    result.failure === undefined ? 'ok' : 'FAILED',
    shown(result),
  ])
  const lines = [['system', 'command', 'took', 'status', 'what it showed'], ...rows]
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((cells) => cells[column]!.length)))
  return lines
    .map((cells) =>
      cells
        .map((cell, column) => (column === 2 ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function shown({ system, output, failure }: Result): string {
  const said = system.shown?.exec(output)?.[1] ?? lastLineOf(output)
  const text = failure === undefined ? said : `${failure}${said === '' ? '' : `: ${said}`}`
  return text.length > widest ? `${text.slice(0, widest - 1)}…` : text
}
