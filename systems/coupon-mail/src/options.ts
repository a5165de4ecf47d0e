/** The command line of `npm run coupons`. */
import { numberReader, randomPrefix, readArgs, readPrefix, refuseOptions } from '@milena/hosting'
import { parseArgs } from 'node:util'

export const help = `npm run coupons -- [options]

Runs the coupon mail system: coupon service, mail worker, Mail API, an SMTP server with its mailbox, broker and database,
each a process of its own. Gives coupons, and meanwhile kills worker, Mail API and coupon service with SIGKILL, again and
again. Ends with a table, and with status 0 only if every gift came to its end, of each that is sent there is exactly one
mail in the mailbox, and of each that has failed there is none.

  --gifts N        coupons that are given (default 300)
  --rate N         gifts a second (default 15)
  --kills N        how often a process is killed during the load (default 6)
  --refused N      of a hundred gifts, how many go to addresses that the SMTP server refuses (default 5)
  --window MS      milliseconds within which the SMTP server drops a mail whose Message-ID it has accepted before
                   (default 600000; 0: it keeps all, as most servers do)
  --domain NAME    of the recipients' addresses (default example.test)
  --port N         the coupon service's port (default 0: any that is free)
  --prefix TEXT    begins the names of topics, groups and databases (default coupons- and something random); they are
                   removed at the end
  --stay           does not end after the table
  --defect         plants a defect: the Mail API forgets what it has sent. Ends with status 1
  --help

KAFKA_BROKERS=host:port,… uses these brokers instead of the embedded one.
DATABASE_URL=postgres://… uses this server, on which databases may be made, instead of the embedded one.
SMTP_URL=smtp://… uses this SMTP server, and really sends to all those addresses; what is in their mailboxes is not looked at.
`

export interface RunOptions {
  readonly gifts: number
  readonly rate: number
  readonly kills: number
  /** Of a hundred. */
  readonly refused: number
  /** In milliseconds. */
  readonly window: number
  readonly domain: string
  readonly port: number
  readonly prefix: string
  readonly stay: boolean
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
        gifts: text,
        rate: text,
        kills: text,
        refused: text,
        window: text,
        domain: text,
        port: text,
        prefix: text,
        stay: flag,
        defect: flag,
        help: flag,
      },
    }),
  )
  if (values.help === true) return 'help'
  const problems: string[] = []
  const number = numberReader(problems)
  const prefix = readPrefix(problems, values.prefix, randomPrefix('coupons'))
  const domain = values.domain ?? 'example.test'
  if (!/^([a-z0-9-]{1,63}\.){1,4}[a-z]{2,20}$/.test(domain))
    problems.push(`--domain must be a name such as example.test, not ${JSON.stringify(domain)}`)
  const options: RunOptions = {
    gifts: number('gifts', values.gifts, 300, 1, 100_000),
    rate: number('rate', values.rate, 15, 1, 500),
    kills: number('kills', values.kills, 6, 0, 1_000),
    refused: number('refused', values.refused, 5, 0, 100),
    window: number('window', values.window, 600_000, 0, 999_999_999),
    domain,
    port: number('port', values.port, 0, 0, 65_000),
    prefix,
    stay: values.stay === true,
    defect: values.defect === true,
  }
  if (options.kills > options.gifts)
    problems.push(`--kills ${options.kills} is more than one for each of --gifts ${options.gifts}`)
  refuseOptions(problems)
  return options
}
