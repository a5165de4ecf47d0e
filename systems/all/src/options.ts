/** The command line of `npm run systems`. */
import { readArgs, refuseOptions } from '@milena/hosting'
import { parseArgs } from 'node:util'
import { systems, type System } from './systems.ts'

export const help = `npm run systems -- [options]

Runs the five systems' commands, one after the other: ${systems.map(({ name }) => name).join(', ')}. Each brings up
its processes, shows its point, and ends. Then prints a table of what each has shown, and ends with status 0 only if
all of them did. What a system prints is kept, and shown when it fails.

  --only NAMES    only these, separated by commas
  --short         a smaller load for each, as in CI
  --verbose       shows what each system prints, too
  --prefix TEXT   begins the names of topics, groups and databases, else each has those of its own
  --output DIR    writes what each system prints into a file, DIR/NAME.txt
  --help

KAFKA_BROKERS=host:port,… uses these brokers instead of the embedded one; DATABASE_URL=postgres://… and
REDIS_URL=redis://… likewise. All systems get them.
`

export interface SystemsOptions {
  readonly chosen: readonly System[]
  readonly verbose: boolean
  readonly output: string | undefined
}

const text = { type: 'string' } as const
const flag = { type: 'boolean' } as const

/** Returns `'help'` when that is asked for. Throws a `StartError` that says what is wrong. */
export function readOptions(args: readonly string[]): SystemsOptions | 'help' {
  const values = readArgs(() =>
    parseArgs({
      args: [...args],
      options: { only: text, short: flag, verbose: flag, prefix: text, output: text, help: flag },
    }),
  )
  if (values.help === true) return 'help'
  const problems: string[] = []
  const only = values.only?.split(',').map((name) => name.trim())
  const unknown = only?.filter((name) => !systems.some((system) => system.name === name)) ?? []
  if (unknown.length > 0) {
    const names = systems.map(({ name }) => name).join(', ')
    problems.push(`--only ${unknown.join(',')}: choose from ${names}, separated by commas`)
  }
  const { prefix } = values
  if (prefix !== undefined && !/^[a-z0-9._-]{1,30}$/.test(prefix))
    problems.push(`--prefix must be 1 to 30 of a-z, 0-9, '.', '_' and '-', not ${JSON.stringify(prefix)}`)
  refuseOptions(problems)

  const chosen: System[] = []
  for (const system of systems) {
    if (only !== undefined && !only.includes(system.name)) continue
    const args = [...system.args]
    if (values.short === true) args.push(...system.short)
    if (prefix !== undefined) args.push('--prefix', `${prefix}${system.name}-`)
    chosen.push({ ...system, args })
  }
  return { chosen, verbose: values.verbose === true, output: values.output }
}
