/** `npm run exchange`: the currency exchange under load, while things break. */
import {
  formatColumns,
  Progress,
  requireFreePort,
  requireWritable,
  runCommand,
  type Command,
} from '@milena/hosting'
import { writeFile } from 'node:fs/promises'
import { help, readOptions, type RunOptions } from './options.ts'
import type { Outcome } from './run/outcome.ts'
import { toReport } from './run/report.ts'
import { run } from './run/run.ts'
import { figures, money } from './run/table.ts'
import { ExchangeSystem } from './system.ts'

const customers = Array.from({ length: 50 }, (_, index) => `customer-${index + 1}`)
/** Problems that are told one by one. */
const mostTold = 20

class ExchangeRun implements Command {
  readonly #options: RunOptions
  readonly #system: ExchangeSystem
  readonly #progress = new Progress(process.stderr)

  constructor(options: RunOptions) {
    const { prefix, port, calm } = options
    this.#options = options
    this.#system = new ExchangeSystem({
      prefix,
      port,
      customers,
      interferes: !calm,
      log: (line) => {
        // Those that were killed on purpose are in the table.
        if (!line.includes('SIGKILL')) console.error(line)
      },
    })
  }

  async run(): Promise<number> {
    const { port, report } = this.#options
    if (port !== 0) await requireFreePort(port)
    if (report !== undefined) await requireWritable(report, '--report')
    const brokers = process.env['KAFKA_BROKERS'] || undefined
    const databaseUrl = process.env['DATABASE_URL'] || undefined
    this.#progress.show(`starting ${brokers ?? 'the embedded broker'}, database and services`)
    await this.#system.start({ brokers, databaseUrl })
    const show = (step: string, detail?: string): void => this.#progress.show(step, detail)
    const outcome = await run(this.#system, this.#options, customers, show)
    this.#progress.clear()
    this.#tell(outcome)
    if (report !== undefined) {
      const where = { brokers, ownDatabase: databaseUrl !== undefined }
      await writeFile(report, toReport(this.#options, where, outcome))
      console.log(`\nreport: ${report}`)
    }
    return outcome.problems.length === 0 ? 0 : 1
  }

  close(): Promise<void> {
    this.#progress.clear()
    return this.#system.close()
  }

  #tell(outcome: Outcome): void {
    const { problems } = outcome
    console.log(`\n${formatColumns(figures(outcome))}\n\n${formatColumns(money(outcome))}\n`)
    if (problems.length === 0)
      console.log('no money was lost or made, no exchange is half done, every caller was told right')
    for (const problem of problems.slice(0, mostTold)) console.log(problem)
    if (problems.length > mostTold) console.log(`and ${problems.length - mostTold} more`)
  }
}

runCommand(() => {
  const options = readOptions(process.argv.slice(2))
  if (options !== 'help') return new ExchangeRun(options)
  process.stdout.write(help)
  return undefined
})
