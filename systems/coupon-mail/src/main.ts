/** `npm run coupons`: coupons are given, and their mails are sent once, while what sends them is killed. */
import { formatColumns, Progress, requireFreePort, runCommand, type Command } from '@milena/hosting'
import { help, readOptions, type RunOptions } from './options.ts'
import { table, type Outcome } from './run/outcome.ts'
import { answerDelay } from './run/kills.ts'
import { run } from './run/run.ts'
import { CouponSystem } from './system.ts'

/** Problems that are told one by one. */
const mostTold = 20

class CouponRun implements Command {
  readonly #options: RunOptions
  readonly #system: CouponSystem
  readonly #progress = new Progress(process.stderr)

  constructor(options: RunOptions) {
    const { prefix, port, window: duplicateWindow, defect } = options
    this.#options = options
    this.#system = new CouponSystem({
      prefix,
      port,
      mailbox: { duplicateWindow, answerDelay },
      apiForgets: defect,
      log: (line) => {
        // Those that were killed on purpose are in the table.
        if (!line.includes('SIGKILL')) console.error(line)
      },
    })
  }

  async run(): Promise<number | void> {
    const { port, stay } = this.#options
    if (port !== 0) await requireFreePort(port)
    const brokers = process.env['KAFKA_BROKERS'] || undefined
    const databaseUrl = process.env['DATABASE_URL'] || undefined
    const smtpUrl = process.env['SMTP_URL'] || undefined
    this.#progress.show(`starting ${brokers ?? 'the embedded broker'}, database and services`)
    await this.#system.start({ brokers, databaseUrl, smtpUrl })
    const outcome = await run(this.#system, this.#options, (step, detail) =>
      this.#progress.show(step, detail),
    )
    this.#progress.clear()
    tell(outcome)
    if (!stay) return outcome.findings.problems.length === 0 ? 0 : 1
    console.log(`\ncoupon service: ${this.#system.urlOf('coupon')}`)
    console.log(`Mail API: ${this.#system.urlOf('mail-api')}`)
    console.log(`mailbox: ${this.#system.mailboxUrl ?? 'at SMTP_URL'}\nCtrl-C ends it`)
  }

  close(): Promise<void> {
    this.#progress.clear()
    return this.#system.close()
  }
}

function tell(outcome: Outcome): void {
  const { problems } = outcome.findings
  console.log(`\n${formatColumns(table(outcome))}\n`)
  if (problems.length === 0)
    console.log(
      outcome.mailbox === undefined
        ? 'every gift came to its end; whether each was sent once only its mailbox can tell'
        : 'every gift came to its end: of each that is sent there is one mail, of those that failed there is none',
    )
  for (const problem of problems.slice(0, mostTold)) console.log(problem)
  if (problems.length > mostTold) console.log(`and ${problems.length - mostTold} more`)
}

runCommand(() => {
  const options = readOptions(process.argv.slice(2))
  if (options !== 'help') return new CouponRun(options)
  process.stdout.write(help)
  return undefined
})
