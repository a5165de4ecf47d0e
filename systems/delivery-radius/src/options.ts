/** The command line of `npm run delivery`. */
import { numberReader, randomPrefix, readArgs, readPrefix, refuseOptions } from '@milena/hosting'
import { parseArgs } from 'node:util'

export const help = `npm run delivery -- [options]

Runs the delivery radius of shops: requesters, workers, broker and database server, each a process of its own. First the
same storm of triggers several ways: row locks in the database, a distributed lock in Redis (where one is found), and
request-reply. Then triggers over all shops. Ends with tables, and with status 0 only if request-reply has lost nothing,
applied nothing out of order and told every failure, and if every shop is what a sequential model of the log says.

The storm:
  --storm N        triggers in all (default 60; 0: no storm)
  --rate N         triggers a second, on the whole (default 20)
  --wave N         triggers that are fired at the same moment (default 12)
  --hot N          shops that it is about (default 400)
  --each N         shops that a trigger names (default 100)
  --connections N  connections to the database of all services with locks together (default 16)
  --seed N         which storm (default 1)
  --alone          request-reply alone, without the ways with locks
All shops:
  --shops N        shops that there are (default 100000)
  --triggers N     triggers over all of them, fired at once (default 1; 0: none)
  --kills N        how often a worker is killed with SIGKILL meanwhile (default 0)
Both:
  --requesters N   default 3
  --workers N      default 2
  --report FILE    writes what the tables say as Markdown
  --port N         the first requester's port, the others' follow (default 0: any that are free)
  --prefix TEXT    begins the names of topics, groups and the database (default delivery- and something random); they
                   are removed at the end
  --stay           does not end after the tables
  --defect         plants a defect: some changes are dropped, whose callers are told that they were made. Ends with
                   status 1
  --help

KAFKA_BROKERS=host:port,… uses these brokers instead of the embedded one.
DATABASE_URL=postgres://… uses this server, on which databases may be made, instead of the embedded one.
REDIS_URL=redis://… uses this Redis; without it, one at the usual port, else a redis-server that is installed.
`

export interface RunOptions {
  readonly storm: number
  readonly rate: number
  readonly wave: number
  readonly hot: number
  readonly each: number
  readonly connections: number
  readonly seed: number
  readonly alone: boolean
  readonly shops: number
  readonly triggers: number
  readonly kills: number
  readonly requesters: number
  readonly workers: number
  readonly report: string | undefined
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
        storm: text,
        rate: text,
        wave: text,
        hot: text,
        each: text,
        connections: text,
        seed: text,
        alone: flag,
        shops: text,
        triggers: text,
        kills: text,
        requesters: text,
        workers: text,
        report: text,
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
  const prefix = readPrefix(problems, values.prefix, randomPrefix('delivery'))
  const options: RunOptions = {
    storm: number('storm', values.storm, 60, 0, 100_000),
    rate: number('rate', values.rate, 20, 1, 1_000),
    wave: number('wave', values.wave, 12, 1, 1_000),
    hot: number('hot', values.hot, 400, 1, 1_000_000),
    each: number('each', values.each, 100, 1, 2_000),
    connections: number('connections', values.connections, 16, 1, 100),
    seed: number('seed', values.seed, 1, 0, 999_999_999),
    alone: values.alone === true,
    shops: number('shops', values.shops, 100_000, 1, 10_000_000),
    triggers: number('triggers', values.triggers, 1, 0, 100),
    kills: number('kills', values.kills, 0, 0, 1_000),
    requesters: number('requesters', values.requesters, 3, 1, 20),
    workers: number('workers', values.workers, 2, 1, 12),
    report: values.report,
    port: number('port', values.port, 0, 0, 65_000),
    prefix,
    stay: values.stay === true,
    defect: values.defect === true,
  }
  problems.push(...contradictions(options))
  refuseOptions(problems)
  return options
}

function contradictions(options: RunOptions): readonly string[] {
  const { storm, hot, each, shops, triggers, kills, connections, requesters } = options
  const found: string[] = []
  if (storm === 0 && triggers === 0) found.push('--storm 0 and --triggers 0 leave nothing to do')
  if (storm > 0 && each > hot) found.push(`--each ${each} is more than the --hot ${hot} shops`)
  if (storm > 0 && hot > shops) found.push(`--hot ${hot} is more than the --shops ${shops}`)
  if (storm > 0 && connections < requesters)
    found.push(`--connections ${connections} is less than one for each of --requesters ${requesters}`)
  if (kills > 0 && triggers === 0) found.push(`--kills ${kills} needs --triggers over all shops`)
  return found
}
