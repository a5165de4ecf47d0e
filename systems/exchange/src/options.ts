/** The command line of `npm run exchange`. */
import { numberReader, randomPrefix, readArgs, readPrefix, refuseOptions } from '@milena/hosting'
import { parseArgs } from 'node:util'

export const help = `npm run exchange -- [options]

Runs the currency exchange: exchange service, account services for KRW and for foreign currency, a database each, an
auditor, broker and database server, each a process of its own. Sends a load of exchanges, and meanwhile breaks things:
deposits fail, answers are lost or late, cancellations fail, messages come twice and in another order, services are
killed, and one is down for a while. Ends with a table, and with status 0 only if no money was lost or made and no
exchange is half done.

  --exchanges N    exchanges that are asked for (default 1400)
  --rate N         exchanges a second (default 40)
  --kills N        how often a service is killed with SIGKILL during the load (default 4)
  --down SECONDS   how long the foreign-currency account service is down (default 20; 0: not at all)
  --calm           nothing goes wrong on purpose but --kills and --down
  --report FILE    writes what the table says as Markdown
  --port N         the exchange service's port (default 0: any that is free)
  --prefix TEXT    begins the names of topics, groups and databases (default exchange- and something random); they are
                   removed at the end
  --defect         plants a defect: one account service answers that it has cancelled, and has not. Ends with status 1
  --help

KAFKA_BROKERS=host:port,… uses these brokers instead of the embedded one.
DATABASE_URL=postgres://… uses this server, on which databases may be made, instead of the embedded one.
`

export interface RunOptions {
  readonly exchanges: number
  readonly rate: number
  readonly kills: number
  /** In seconds. */
  readonly down: number
  readonly calm: boolean
  readonly report: string | undefined
  readonly port: number
  readonly prefix: string
  readonly defect: boolean
}

const text = { type: 'string' } as const
const flag = { type: 'boolean' } as const

/** Returns `'help'` when that is asked for. Throws a `StartError` that lists every problem. */
export function readOptions(args: readonly string[]): RunOptions | 'help' {
  const values = readArgs(() =>
    parseArgs({
      args: [...args],
      options: {
        exchanges: text,
        rate: text,
        kills: text,
        down: text,
        calm: flag,
        report: text,
        port: text,
        prefix: text,
        defect: flag,
        help: flag,
      },
    }),
  )
  if (values.help === true) return 'help'
  const problems: string[] = []
  const number = numberReader(problems)
  const prefix = readPrefix(problems, values.prefix, randomPrefix('exchange'))
  const options: RunOptions = {
    exchanges: number('exchanges', values.exchanges, 1_400, 1, 1_000_000),
    rate: number('rate', values.rate, 40, 1, 2_000),
    kills: number('kills', values.kills, 4, 0, 10_000),
    down: number('down', values.down, 20, 0, 600),
    calm: values.calm === true,
    report: values.report,
    port: number('port', values.port, 0, 0, 65_000),
    prefix,
    defect: values.defect === true,
  }
  if (options.kills > options.exchanges)
    problems.push(`--kills ${options.kills} is more than one for each of --exchanges ${options.exchanges}`)
  refuseOptions(problems)
  return options
}
