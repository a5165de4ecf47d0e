import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { toolEnvironment } from './command.ts'
import { seconds } from './print.ts'
import type { Print } from './print.ts'
import { readRunOptions, UsageError } from './run-options.ts'
import type { RunOptions } from './run-options.ts'
import { steps } from './steps.ts'
import type { Step, StepContext } from './steps.ts'
import { Tally } from './tally.ts'

const usage = `npm test [-- STEP...] [--grep REGEXP] [--files TEXT]

Steps, in this order:
${steps.map((step) => `  ${step.name.padEnd(13)} ${step.title}`).join('\n')}

  --grep REGEXP   only tests whose names match
  --files TEXT    only test files whose path contains this; several times for any of several
  KAFKA_BROKERS   the cluster that end-to-end tests use instead of the embedded broker
`

const print: Print = (line) => void process.stdout.write(`${line}\n`)

async function main(): Promise<void> {
  const options = readRunOptions(
    process.argv.slice(2),
    steps.map((step) => step.name),
  )
  if (options.help) return print(usage)
  const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
  Object.assign(process.env, toolEnvironment(root))
  const tally = new Tally()
  const context: StepContext = {
    root,
    tally,
    print,
    grep: options.grep,
    files: options.files,
    ci: process.env['CI'] === 'true',
    brokers: process.env['KAFKA_BROKERS'] || undefined,
  }
  for (const step of chosen(options)) await runStep(step, context)
  const filtered = options.grep ?? (options.files.length > 0 ? options.files.join(', ') : undefined)
  if (filtered !== undefined && tally.passed + tally.failed + tally.skipped === 0) {
    tally.fail(`no test matches ${filtered}`)
  }
  if (tally.failures.length > 0) print(`\nfailed:\n${tally.failures.map((line) => `  ${line}`).join('\n')}`)
  print(`\n${tally.closingLine()}`)
  process.exitCode = tally.failed > 0 ? 1 : 0
}

function chosen({ steps: names, grep, files }: RunOptions): Step[] {
  const onlyTests = grep !== undefined || files.length > 0
  return steps.filter((step) => (names.length === 0 ? !onlyTests || step.tests : names.includes(step.name)))
}

/** A step that breaks instead of reporting is a failure, and the ones after it still run. */
async function runStep(step: Step, context: StepContext): Promise<void> {
  const begun = Date.now()
  print(`\n${step.title}`)
  try {
    await step.run(context)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    print(`  ✗ ${message}`)
    context.tally.fail(`${step.name}: ${message}`)
  }
  print(`  ${seconds(Date.now() - begun)}`)
}

// Leaving through exit() is what lets running test processes be ended first.
for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  process.on(signal, () => process.exit(status))
}

main().catch((error: unknown) => {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`npm test: ${error.message}\n`)
  process.exitCode = 2
})
