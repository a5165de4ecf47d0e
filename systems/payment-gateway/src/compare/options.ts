/** The command line of `npm start`. */
import { parseArgs } from 'node:util'
import { numberReader, readArgs, readPrefix, refuseOptions } from '@milena/hosting'

export const help = `npm start -- [options]

Starts the payment gateway system and sends the same load to two gateways under each reply routing, the broken one
(one group for all gateways) first; then scales the gateways from 2 to 3 and back under load; prints a table of each.
Then the system stays up with the default routing, until Ctrl-C.

  --exit          ends after the tables: status 0, or 1 if a routing that should lose nothing lost something
  --rate N        payments a second (default 100)
  --seconds N     how long each load lasts (default 4)
  --port N        the first gateway's port; 0 takes any free ports (default 8080)
  --prefix TEXT   put before topics and groups, and the database's schema (default none)
  --help

KAFKA_BROKERS=host:port,… uses these brokers instead of the embedded one.
DATABASE_URL=postgres://… uses this database instead of the embedded one.
REDIS_URL=redis://… is where the relay goes, instead of redis://127.0.0.1:6379; without a Redis there it is left out.
`

export interface CompareOptions {
  readonly exit: boolean
  readonly rate: number
  readonly seconds: number
  readonly port: number
  readonly prefix: string
}

/** Returns `'help'` when that is asked for. Throws a `StartError` that lists every problem. */
export function readCompareOptions(args: readonly string[]): CompareOptions | 'help' {
  const values = parse(args)
  if (values.help === true) return 'help'
  const problems: string[] = []
  const number = numberReader(problems)
  const options: CompareOptions = {
    exit: values.exit === true,
    rate: number('rate', values.rate, 100, 1, 5_000),
    seconds: number('seconds', values.seconds, 4, 1, 60),
    port: number('port', values.port, 8080, 0, 65_000),
    prefix: readPrefix(problems, values.prefix, ''),
  }
  refuseOptions(problems)
  return options
}

const text = { type: 'string' } as const

function parse(args: readonly string[]) {
  return readArgs(() =>
    parseArgs({
      args: [...args],
      options: {
        rate: text,
        seconds: text,
        port: text,
        prefix: text,
        exit: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    }),
  )
}
