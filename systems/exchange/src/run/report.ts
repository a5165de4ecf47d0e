/** The outcome as a page of Markdown. */
import type { Cells } from '@milena/hosting'
import type { RunOptions } from '../options.ts'
import type { Outcome } from './outcome.ts'
import { figures, money } from './table.ts'

export interface Surrounded {
  /** `undefined`: the embedded broker. */
  readonly brokers: string | undefined
  /** Whether the database server is another than the embedded one. */
  readonly ownDatabase: boolean
}

export function toReport(options: RunOptions, where: Surrounded, outcome: Outcome): string {
  const { exchanges, rate, kills, down, calm } = options
  const brokers = where.brokers?.split(',').length
  const on =
    brokers === undefined
      ? "Milena's embedded broker"
      : `Apache Kafka, ${brokers} ${brokers === 1 ? 'broker' : 'brokers'}`
  const command = [
    `npm run exchange -- --exchanges ${exchanges} --kills ${kills} --rate ${rate} --down ${down}`,
    ...(calm ? ['--calm'] : []),
  ].join(' ')
  const faults = calm ? 'Nothing else went wrong on purpose.' : faultsInWords
  return `# A run of the currency exchange

    ${command}

On ${on}, with ${where.ownDatabase ? 'a PostgreSQL server of its own' : 'the embedded PostgreSQL'}; all processes on one
machine. ${exchanges} exchanges, ${rate} a second; meanwhile a service was killed ${kills} times with SIGKILL${
    down > 0 ? `, and the account service for foreign currency was down for ${down} s` : ''
  }. ${faults}

${table([['', 'figure'], ...figures(outcome)])}

Money, in each currency's smallest unit:

${table(money(outcome))}

${verdict(outcome)}
`
}

const faultsInWords =
  'Of the deposits 3 % were refused, of 2 % the answer was lost each time, and 2 % were carried out after their caller had given up; of the cancellations 10 % failed at the first try, and 4 % at every try until the load was over; of commands, replies and HTTP calls 10 % came a second time, up to 4 s later.'

function verdict({ problems }: Outcome): string {
  if (problems.length === 0)
    return 'No money was lost or made, no exchange is half done, and every caller was told what has come of his.'
  return `**What did not hold:**\n\n${problems.map((problem) => `- ${problem}`).join('\n')}`
}

function table([titles, ...lines]: Cells): string {
  const rule = titles!.map((_, column) => (column === 0 ? '---' : '---:'))
  return [titles!, rule, ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}
