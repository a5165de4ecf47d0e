/** `npm run delivery`: the delivery radius of shops, in a storm of triggers and over all shops. */
import {
  formatColumns,
  Progress,
  requireFreePort,
  requireWritable,
  runCommand,
  type Command,
} from '@milena/hosting'
import { writeFile } from 'node:fs/promises'
import type { Pool } from 'pg'
import { connect } from './database/connect.ts'
import { help, readOptions, type RunOptions } from './options.ts'
import { plantDefect } from './run/defect.ts'
import { notesOf } from './run/notes.ts'
import { problemsOf, type Outcome } from './run/outcome.ts'
import { toReport } from './run/report.ts'
import { run } from './run/run.ts'
import { everywhereTable, memoryOf, rateOf, usageTable, waysTable } from './run/table.ts'
import { boundBy, costOf } from './run/usage.ts'
import { DeliverySystem } from './system.ts'

/** Problems that are told one by one. */
const mostTold = 20

class DeliveryRun implements Command {
  readonly #options: RunOptions
  readonly #system: DeliverySystem
  readonly #progress = new Progress(process.stderr)
  readonly #log = (line: string): void => {
    // Those that were killed on purpose are in the table.
    if (!line.includes('SIGKILL')) console.error(line)
  }
  #pool: Pool | undefined

  constructor(options: RunOptions) {
    const { prefix, port, requesters, workers, shops } = options
    this.#options = options
    this.#system = new DeliverySystem({ prefix, port, requesters, workers, shops, log: this.#log })
  }

  async run(): Promise<number | void> {
    const { port, report, requesters, stay } = this.#options
    if (port !== 0) for (let number = 0; number < requesters; number++) await requireFreePort(port + number)
    if (report !== undefined) await requireWritable(report, '--report')
    const brokers = process.env['KAFKA_BROKERS'] || undefined
    const databaseUrl = process.env['DATABASE_URL'] || undefined
    const show = (step: string, detail?: string): void => this.#progress.show(step, detail)
    show(`starting ${brokers ?? 'the embedded broker'}, database and services`)
    await this.#system.start({ brokers, databaseUrl })
    this.#pool = await connect(this.#system.databaseUrl, 2)
    if (this.#options.defect) await plantDefect(this.#pool)
    const [system, pool, options, log] = [this.#system, this.#pool, this.#options, this.#log]
    const outcome = await run({ system, pool, options, brokers, show, log })
    this.#progress.clear()
    this.#tell(outcome)
    if (report !== undefined) {
      const where = { args: process.argv.slice(2), brokers, ownDatabase: databaseUrl !== undefined }
      await writeFile(report, toReport(options, where, outcome))
      console.log(`\nreport: ${report}`)
    }
    if (!stay) return problemsOf(outcome).length === 0 ? 0 : 1
    console.log(`\nrequesters: ${this.#system.requesters.map(({ url }) => url).join(', ')}\nCtrl-C ends it`)
  }

  async close(): Promise<void> {
    this.#progress.clear()
    await this.#pool?.end()
    await this.#system.close()
  }

  #tell(outcome: Outcome): void {
    const { ways, everywhere, checked } = outcome
    if (ways.length > 0) {
      console.log(`\n${formatColumns(waysTable(ways))}\n`)
      for (const note of notesOf(
        this.#options,
        ways.map(({ way }) => way),
      ))
        console.log(`* ${note}`)
    }
    if (everywhere !== undefined) {
      console.log(`\n${formatColumns(everywhereTable(everywhere))}\n\n${rateOf(everywhere)}`)
      console.log(`${memoryOf(everywhere)}\n\n${formatColumns(usageTable(everywhere.usage))}\n`)
      console.log(`${boundBy(everywhere.usage)}\n${costOf(everywhere.usage, everywhere.changes)}`)
    }
    const problems = problemsOf(outcome)
    console.log(
      `\nthe model has read ${checked.requests} requests from the log and been held against ${checked.shops} shops`,
    )
    if (problems.length === 0) {
      console.log(
        'nothing was lost or out of order, every failure was told, every shop is what the model says',
      )
      return
    }
    for (const problem of problems.slice(0, mostTold)) console.log(problem)
    if (problems.length > mostTold) console.log(`and ${problems.length - mostTold} more`)
  }
}

runCommand(() => {
  const options = readOptions(process.argv.slice(2))
  if (options !== 'help') return new DeliveryRun(options)
  process.stdout.write(help)
  return undefined
})
