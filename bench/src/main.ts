/** `npm run bench`: measures, prints and keeps the results; `--report` makes the page of them. */
import { SetupError } from '../../tools/kafka/setup-error.ts'
import { readOptions, usage, UsageError, type BenchOptions } from './options.ts'
import { printResult } from './report/console.ts'
import { writeReport } from './report/page.ts'
import { readResults, writeResult } from './results.ts'
import { runOn } from './run/run.ts'

class Interrupted extends Error {
  readonly status: number

  constructor(status: number) {
    super('interrupted')
    this.status = status
  }
}

try {
  const options = readOptions(process.argv.slice(2), process.env['KAFKA_BROKERS'] || undefined)
  if (options.action === 'help') process.stdout.write(usage)
  else if (options.action === 'report') report()
  else await run(options)
} catch (error) {
  process.exitCode = statusOf(error)
  const oneLine = error instanceof UsageError || error instanceof SetupError || error instanceof Interrupted
  console.error(oneLine ? `npm run bench: ${error.message}` : error)
}
// Whatever a foreign client has left open may not keep the command.
process.exit()

function statusOf(error: unknown): number {
  if (error instanceof Interrupted) return error.status
  return error instanceof UsageError || error instanceof SetupError ? 2 : 1
}

async function run(options: BenchOptions): Promise<void> {
  const interrupted = interruption()
  for (const on of options.on) {
    const result = await runOn(on, options, interrupted, (line) => console.log(line))
    printResult(result)
    console.log(`\nkept in ${writeResult(result)}`)
  }
}

function report(): void {
  const results = readResults()
  if (results.length === 0)
    throw new UsageError('there are no results yet in bench/results: run without --report')
  console.log(`wrote ${writeReport(results).join(', ')}`)
}

/** Rejects at the first signal to end; the second one ends at once. */
function interruption(): Promise<never> {
  const interrupted = new Promise<never>((_, reject) => {
    for (const [signal, status] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
      ['SIGHUP', 129],
    ] as const) {
      process.once(signal, () => {
        reject(new Interrupted(status))
        process.once(signal, () => process.exit(status))
      })
    }
  })
  interrupted.catch(() => {}) // between two runs nobody is waiting for it
  return interrupted
}
