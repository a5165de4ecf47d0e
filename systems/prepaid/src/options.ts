import { parseArgs } from 'node:util'
import { numberReader, readArgs, readPrefix, refuseOptions } from '@milena/hosting'

export const help = `npm run hello -- [options]

Starts requester and replier as two processes, sends "hello", and serves GET /test/sendEvent?str=… until Ctrl-C.

  --role NAME   only one side, requester or replier; the other may be somebody else's, such as a Spring service.
                Needs KAFKA_BROKERS, the brokers that both sides reach (npm run broker starts one)
  --port N      the requester's port (default: any that is free)
  --prefix TEXT put before the names of topics and group (default none)
  --exit        end after the first reply
  --help

KAFKA_BROKERS=host:port,… uses these brokers instead of the embedded one.
`

export interface HelloOptions {
  readonly role: 'both' | 'requester' | 'replier'
  readonly port: number
  readonly exit: boolean
  readonly prefix: string
  readonly brokers: string | undefined
}

/** Returns `help` when that is asked for. Throws a `StartError` that lists every problem. */
export function readOptions(args: string[], brokers: string | undefined): HelloOptions | 'help' {
  const { role, port, exit = false, prefix, help = false } = parse(args)
  if (help) return 'help'
  const problems: string[] = []
  const options: HelloOptions = {
    role: role === 'requester' || role === 'replier' ? role : 'both',
    port: numberReader(problems)('port', port, 0, 0, 65_535),
    exit,
    prefix: readPrefix(problems, prefix, ''),
    brokers,
  }
  if (role !== undefined && options.role === 'both')
    problems.push(`--role must be requester or replier, not ${JSON.stringify(role)}`)
  if (options.role !== 'both' && brokers === undefined)
    problems.push(
      `--role ${options.role} needs the brokers that both sides reach: set KAFKA_BROKERS=host:port (npm run broker starts one)`,
    )
  refuseOptions(problems)
  return options
}

const text = { type: 'string' } as const
const flag = { type: 'boolean' } as const

function parse(args: string[]) {
  const options = { role: text, port: text, exit: flag, prefix: text, help: flag }
  return readArgs(() => parseArgs({ args, options }))
}
