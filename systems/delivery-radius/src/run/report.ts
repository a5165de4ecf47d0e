/** The outcome as a page of Markdown. */
import type { Cells } from '@milena/hosting'
import { cpus, totalmem } from 'node:os'
import type { RunOptions } from '../options.ts'
import { notesOf } from './notes.ts'
import { problemsOf, type Outcome } from './outcome.ts'
import { everywhereTable, memoryOf, rateOf, usageTable, waysTable } from './table.ts'
import { boundBy, costOf } from './usage.ts'

export interface Surrounded {
  /** The command's arguments. */
  readonly args: readonly string[]
  /** `undefined`: the embedded broker. */
  readonly brokers: string | undefined
  /** Whether the database server is another than the embedded one. */
  readonly ownDatabase: boolean
}

export function toReport(options: RunOptions, where: Surrounded, outcome: Outcome): string {
  const { ways, everywhere } = outcome
  const brokers = where.brokers?.split(',').length
  const on =
    brokers === undefined
      ? "Milena's embedded broker"
      : `Apache Kafka, ${brokers} ${brokers === 1 ? 'broker' : 'brokers'}`
  const database = where.ownDatabase ? 'a PostgreSQL server of its own' : 'the embedded PostgreSQL (no fsync)'
  return [
    '# A run of the delivery radius',
    `    npm run delivery -- ${withoutReport(where.args).join(' ')}`,
    `On ${on}, with ${database}, ${options.requesters} requesters and ${options.workers} workers; all processes on one ` +
      `machine: ${machine()}.`,
    ...(ways.length > 0
      ? [
          '## The storm',
          table(waysTable(ways)),
          list(
            notesOf(
              options,
              ways.map(({ way }) => way),
            ),
          ),
        ]
      : []),
    ...(everywhere === undefined
      ? []
      : [
          '## All shops',
          `${rateOf(everywhere)}. The triggers were fired at once, at one requester after the other.`,
          table(everywhereTable(everywhere)),
          sentence(boundBy(everywhere.usage)),
          sentence(costOf(everywhere.usage, everywhere.changes)),
          table(usageTable(everywhere.usage)),
          sentence(memoryOf(everywhere)),
        ]),
    '## The model',
    verdict(outcome),
    '',
  ].join('\n\n')
}

function verdict(outcome: Outcome): string {
  const { requests, shops, refused } = outcome.checked
  const problems = problemsOf(outcome)
  const held =
    `A sequential model has read the ${requests} requests of the log from its beginning, in order, and applied them one ` +
    `after the other; ${shops} shops of the database were held against it, and the ${refused} changes that it refuses ` +
    'against what callers were told.'
  if (problems.length === 0) return `${held} Nothing differs.`
  return `${held}\n\n**What did not hold:**\n\n${list(problems)}`
}

function machine(): string {
  const [first] = cpus()
  return `${cpus().length} × ${first?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node.js ${process.version}, ${process.platform}`
}

function withoutReport(args: readonly string[]): readonly string[] {
  const at = args.indexOf('--report')
  return at < 0 ? args : [...args.slice(0, at), ...args.slice(at + 2)]
}

function sentence(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}.`
}

function list(items: readonly string[]): string {
  return items.map((item) => `- ${item}`).join('\n')
}

function table([titles, ...lines]: Cells): string {
  const rule = titles!.map((_, column) => (column === 0 ? '---' : '---:'))
  return [titles!, rule, ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}
