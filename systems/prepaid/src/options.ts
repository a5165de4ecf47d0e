import { parseArgs } from 'node:util'
import { messageOf, StartError } from '@milena/hosting'

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

/** Returns `help` when that is asked for. Throws a `StartError` that says what to do. */
export function readOptions(args: string[], brokers: string | undefined): HelloOptions | 'help' {
  const { role, port = '0', exit = false, prefix = '', help = false } = parse(args)
  if (help) return 'help'
  if (role !== undefined && role !== 'requester' && role !== 'replier') {
    throw new StartError(
      `--role must be requester or replier, not ${JSON.stringify(role)}; --help lists the options`,
    )
  }
  if (role !== undefined && brokers === undefined) {
    throw new StartError(
      `--role ${role} needs the brokers that both sides reach: set KAFKA_BROKERS=host:port (npm run broker starts one)`,
    )
  }
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw new StartError(`--port must be a whole number from 0 to 65535, not ${JSON.stringify(port)}`)
  }
  if (!/^[a-z0-9._-]{0,40}$/.test(prefix)) {
    throw new StartError(
      `--prefix must be up to 40 of a-z, 0-9, '.', '_' and '-', not ${JSON.stringify(prefix)}`,
    )
  }
  return { role: role ?? 'both', port: Number(port), exit, prefix, brokers }
}

function parse(args: string[]): {
  role?: string
  port?: string
  exit?: boolean
  prefix?: string
  help?: boolean
} {
  try {
    return parseArgs({
      args,
      options: {
        role: { type: 'string' },
        port: { type: 'string' },
        exit: { type: 'boolean' },
        prefix: { type: 'string' },
        help: { type: 'boolean' },
      },
    }).values
  } catch (error) {
    throw new StartError(`${messageOf(error).split('. ')[0]}; --help lists the options`)
  }
}
