import { parseArgs } from 'node:util'

export interface RunOptions {
  /** Names of the steps to run; empty for all. */
  steps: string[]
  /** Only tests whose names match this regular expression; steps without tests are left out. */
  grep: string | undefined
  /** Only test files whose path contains one of these; empty for all. */
  files: readonly string[]
  help: boolean
}

/** What the person who started the run got wrong, in one line. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Reads the command line. Throws a UsageError for an option or a step that does not exist. */
export function readRunOptions(args: readonly string[], steps: readonly string[]): RunOptions {
  const { values, positionals } = parse(args)
  const unknown = positionals.find((name) => !steps.includes(name))
  if (unknown !== undefined) {
    throw new UsageError(`there is no step "${unknown}": choose from ${steps.join(', ')}`)
  }
  if (values.grep !== undefined && !isRegularExpression(values.grep)) {
    throw new UsageError(`--grep ${values.grep} is not a regular expression`)
  }
  return { steps: positionals, grep: values.grep, files: values.files ?? [], help: values.help }
}

function isRegularExpression(text: string): boolean {
  try {
    return RegExp(text) instanceof RegExp
  } catch {
    return false
  }
}

function parse(args: readonly string[]): ReturnType<typeof parseAll> {
  try {
    return parseAll(args)
  } catch (error) {
    // Node's further sentences are advice about `--` that does not apply here.
    const problem = error instanceof Error ? error.message.split('. ')[0] : String(error)
    throw new UsageError(`${problem}; --help lists the options`)
  }
}

function parseAll(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      grep: { type: 'string' },
      files: { type: 'string', multiple: true },
      help: { type: 'boolean', default: false },
    },
  })
}
