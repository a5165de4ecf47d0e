/** The command line of `npm run payments`. */
import { parseArgs } from 'node:util'
import { partitionings, type Partitioning } from './operations.ts'
import { numberReader, readArgs, readPrefix, refuseOptions } from '@milena/hosting'
import type { Behaviour } from './provider/behaviour.ts'
import { routingNames, type RoutingName } from './routing/choose.ts'

export const help = `npm run payments -- [options]

Runs the payment gateway system: broker, database, payment provider, workers and gateways, each a process of its own.

  --gateways N          gateways, at consecutive ports (default 2)
  --workers N           workers (default 2)
  --routing NAME        ${routingNames.join(', ')} (default replyPartition);
                        sameGroup is the bug, one group for all gateways: half of the replies reach the wrong one,
                        and what became of those payments is found out only when somebody asks for them
  --port N              the first gateway's port; 0 takes any free ports (default 8080)
  --partition-by NAME   ${partitionings.join(', ')}: what decides a request's partition (default key, the order's
                        id, or the refund's)
  --timeout MS          how long a caller waits for the outcome (default 5000)
  --concurrency N       payments at the provider at once, for each worker (default 128): with a provider that takes 1 s
                        a worker carries that many payments a second, and what is beyond waits
  --max-pending N       payments in hand at once, for each gateway; more get 503 (default 2000)
  --linger MS           how long a record waits for company, and how long after one write to the database the next
                        begins: a few milliseconds make each payment cheaper where there are hundreds a second
                        (default 0)
  --provider-delay MS   how long the provider takes; PUT /behaviour changes it (default 100)
  --prefix TEXT         put before topics and groups, and the database's schema: keeps systems apart (default none)
  --state FILE          writes {pid, brokers, gateways: [{pid, url}], workers: [{pid}], provider: {pid, url},
                        database} as JSON once all is ready, and after every change
  --supervise           starts a process again when it dies
  --join FILE           adds --gateways N and --workers N (default 0 of each) to the system whose --state FILE this
                        is, while it runs; they end with this command. --prefix and --routing are that system's;
                        --port defaults to 0
  --help

KAFKA_BROKERS=host:port,… uses these brokers instead of the embedded one.
DATABASE_URL=postgres://… uses this database instead of the embedded one.
REDIS_URL=redis://… is the Redis of redisRelay and redisPolling, instead of redis://127.0.0.1:6379.
`

export interface PaymentsOptions {
  readonly gateways: number
  readonly workers: number
  readonly routing: RoutingName
  readonly port: number
  readonly partitionBy: Partitioning
  readonly timeout: number
  readonly concurrency: number
  readonly maxPending: number
  readonly linger: number
  readonly behaviour: Behaviour
  readonly prefix: string
  readonly state: string | undefined
  readonly supervise: boolean
  readonly join: string | undefined
}

/** Returns `'help'` when that is asked for. Throws a `StartError` that lists every problem. */
export function readOptions(args: readonly string[]): PaymentsOptions | 'help' {
  const values = parse(args)
  if (values.help === true) return 'help'
  const problems: string[] = []

  const number = numberReader(problems)
  function oneOf<Name extends string>(name: string, given: string | undefined, names: readonly Name[]): Name {
    const found = names.find((known) => known === given)
    if (given !== undefined && found === undefined) {
      problems.push(`--${name} must be one of ${names.join(', ')}, not ${JSON.stringify(given)}`)
    }
    return found ?? names[0]!
  }

  const joining = values.join !== undefined
  const options: PaymentsOptions = {
    gateways: number('gateways', values.gateways, joining ? 0 : 2, joining ? 0 : 1, 50),
    workers: number('workers', values.workers, joining ? 0 : 2, 0, 50),
    routing: oneOf('routing', values.routing, routingNames),
    port: number('port', values.port, joining ? 0 : 8080, 0, 65_000),
    partitionBy: oneOf('partition-by', values['partition-by'], partitionings),
    timeout: number('timeout', values.timeout, 5_000, 100, 600_000),
    concurrency: number('concurrency', values.concurrency, 128, 1, 10_000),
    maxPending: number('max-pending', values['max-pending'], 2_000, 1, 1_000_000),
    linger: number('linger', values.linger, 0, 0, 1_000),
    behaviour: {
      delayMs: number('provider-delay', values['provider-delay'], 100, 0, 600_000),
      jitterMs: 0,
      failRate: 0,
      declineRate: 0,
      silentRate: 0,
    },
    prefix: readPrefix(problems, values.prefix, ''),
    state: values.state,
    supervise: values.supervise === true,
    join: values.join,
  }
  if (joining && options.gateways + options.workers === 0) {
    problems.push('--join needs --gateways N or --workers N: how many to add')
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
        gateways: text,
        workers: text,
        routing: text,
        port: text,
        'partition-by': text,
        timeout: text,
        concurrency: text,
        'max-pending': text,
        linger: text,
        'provider-delay': text,
        prefix: text,
        state: text,
        join: text,
        supervise: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    }),
  )
}
