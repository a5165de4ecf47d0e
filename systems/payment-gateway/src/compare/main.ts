/** `npm start`: replies that reach the wrong gateway, and what cures that, side by side. */
import {
  type Command,
  JsonClient,
  Progress,
  requireFreePort,
  runCommand,
  type ServiceFacts,
} from '@milena/hosting'
import { findRedis, noRedis } from '../redis.ts'
import { needsRedis, type RoutingName } from '../routing/choose.ts'
import { PaymentSystem } from '../system.ts'
import { lostNothing, type Row } from './measure.ts'
import { help, readCompareOptions, type CompareOptions } from './options.ts'
import { formatTable } from './table.ts'
import { orderPrefix, Trial } from './trial.ts'

/** The broken one first; the default last, for it stays up. */
const routings: readonly RoutingName[] = [
  'sameGroup',
  'instanceReplyTopic',
  'sharedReplyTopic',
  'redisRelay',
  'redisPolling',
  'replyPartition',
]
/** Milliseconds: short, so that a lost reply shows soon; the provider takes 60 to 90. */
const timeout = 4_000
const behaviour = { delayMs: 60, jitterMs: 30, failRate: 0, declineRate: 0, silentRate: 0 }

class Comparison implements Command {
  readonly #options: CompareOptions
  readonly #system: PaymentSystem
  readonly #progress = new Progress(process.stderr)

  constructor(options: CompareOptions) {
    this.#options = options
    this.#system = new PaymentSystem(
      {
        routing: 'replyPartition',
        port: options.port,
        partitionBy: 'key',
        timeout,
        concurrency: 256,
        maxPending: 10_000,
        linger: 0,
        behaviour,
        prefix: options.prefix,
      },
      { restart: false, onChange: () => {}, log: (line) => console.error(line) },
    )
  }

  async run(): Promise<number | void> {
    const { port, rate, seconds, exit } = this.#options
    const ports = [0, 1, 2].map((index) => (port === 0 ? 0 : port + index)) as [number, number, number]
    for (const port of ports) if (port !== 0) await requireFreePort(port)
    const brokers = process.env['KAFKA_BROKERS'] || undefined
    const databaseUrl = process.env['DATABASE_URL'] || undefined
    this.#progress.show(`starting ${brokers ?? 'the embedded broker'}, database, provider and two workers`)
    const system = this.#system
    const redisUrl = await findRedis()
    const compared = routings.filter((routing) => redisUrl !== undefined || !needsRedis(routing))
    await system.startFoundation({ brokers, databaseUrl, redisUrl })
    await Promise.all([system.addWorker('worker-1'), system.addWorker('worker-2')])

    const steady: Row[] = []
    const scaled: Row[] = []
    const run = Date.now().toString(36)
    for (const [index, routing] of compared.entries()) {
      const step = `${index + 1} of ${compared.length}: ${routing}`
      this.#progress.show(step, ': starting two gateways')
      const onProgress = (text: string) => this.#progress.show(step, text)
      const trial = new Trial(system, { routing, rate, seconds, ports, run, timeout, onProgress })
      await trial.start()
      steady.push(await trial.steady())
      scaled.push(await trial.scaled())
      if (index < compared.length - 1) await trial.end()
    }
    this.#progress.clear()
    const load = `${rate} payments a second for ${seconds} s`
    console.log(`\n${formatTable(`Two gateways, two workers, ${load}`, steady)}`)
    console.log(`\n${formatTable(`The same while the gateways go from 2 to 3 and back to 2`, scaled)}`)
    console.log(`\n* one group for all gateways: ${await this.#sayBroken(run, steady, scaled)}`)

    if (redisUrl === undefined) console.log(`* without the relay through Redis: ${noRedis}`)

    const broken = [...steady, ...scaled].filter((row) => row.routing !== 'sameGroup' && !lostNothing(row))
    for (const { routing } of broken) console.log(`${routing} should lose nothing, and did`)
    if (exit) return broken.length > 0 ? 1 : 0
    this.#announce()
    return undefined
  }

  close(): Promise<void> {
    this.#progress.clear()
    return this.#system.close()
  }

  /** What S1's document is about (docs/systems.md): the money was taken, and the caller does not know. */
  async #sayBroken(run: string, ...tables: readonly (readonly Row[])[]): Promise<string> {
    const rows = tables.flat().filter(({ routing }) => routing === 'sameGroup')
    const sum = (read: (row: Row) => number) => rows.reduce((total, row) => total + read(row), 0)
    const provider = new JsonClient(this.#system.state().provider.url, 1)
    const { body } = await provider.call({ method: 'GET', path: '/ledger', timeout: 10_000 })
    provider.close()
    const prefixes = [orderPrefix(run, 'sameGroup', 'steady'), orderPrefix(run, 'sameGroup', 'scaled')]
    const charged = (body as { orderId: string }[]).filter(({ orderId }) =>
      prefixes.some((prefix) => orderId.startsWith(prefix)),
    )
    const [requests, untold] = [sum((row) => row.requests), sum((row) => row.requests - row.answered)]
    return `of ${requests} payments ${charged.length} were charged, and ${untold} callers were not told in time`
  }

  #announce(): void {
    const { brokers, provider } = this.#system.state()
    const [first, second] = this.#system.gateways.map(({ facts }) => (facts as ServiceFacts).url)
    console.log(`
The system stays up with replyPartition; Ctrl-C ends it.
gateways  ${first}  ${second}   (${first}/openapi.json)
provider  ${provider.url}   brokers  ${brokers}

curl -s ${first}/payments -H 'content-type: application/json' -d '{"orderId":"o-1","amount":9900,"method":"card"}'
curl -s ${second}/payments/o-1`)
  }
}

runCommand(() => {
  const options = readCompareOptions(process.argv.slice(2))
  if (options !== 'help') return new Comparison(options)
  process.stdout.write(help)
  return undefined
})
