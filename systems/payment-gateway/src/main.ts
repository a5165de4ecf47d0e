/** `npm run payments`: the system alone, for use and for tests. */
import { help, readOptions, type PaymentsOptions } from './options.ts'
import { type Command, requireFreePort, runCommand, StartError } from '@milena/hosting'
import { readState, writeState, type SystemState } from './state-file.ts'
import { findRedis, noRedis } from './redis.ts'
import { needsRedis } from './routing/choose.ts'
import { PaymentSystem } from './system.ts'

class Payments implements Command {
  readonly #options: PaymentsOptions
  readonly #system: PaymentSystem
  /** The running system that this one joins. */
  readonly #joined: SystemState | undefined
  #ready = false

  constructor(options: PaymentsOptions) {
    this.#options = options
    this.#joined = options.join === undefined ? undefined : readState(options.join)
    const { prefix, routing } = this.#joined ?? options
    this.#system = new PaymentSystem(
      { ...options, prefix, routing },
      {
        restart: options.supervise,
        onChange: () => this.#writeState(),
        log: (line) => console.error(options.supervise ? line : `${line}; --supervise would restart it`),
      },
    )
  }

  async run(): Promise<void> {
    const { gateways, workers, port } = this.#options
    const joined = this.#joined
    const ports = Array.from({ length: gateways }, (_, index) => (port === 0 ? 0 : port + index))
    for (const port of ports) if (port !== 0) await requireFreePort(port)
    const system = this.#system
    if (joined === undefined) {
      await system.startFoundation({
        brokers: process.env['KAFKA_BROKERS'] || undefined,
        databaseUrl: process.env['DATABASE_URL'] || undefined,
        redisUrl: await this.#redisUrl(),
      })
    } else {
      const { brokers, database, redis, provider } = joined
      system.useFoundation({ brokers, databaseUrl: database, redisUrl: redis, provider })
    }
    // Names are unique among all that run: those that join have this process's id in theirs.
    const number = (index: number) => (joined === undefined ? `${index + 1}` : `${process.pid}-${index + 1}`)
    await all(Array.from({ length: workers }, (_, index) => system.addWorker(`worker-${number(index)}`)))
    await all(ports.map((port, index) => system.addGateway(port, `gateway-${number(index)}`)))
    this.#ready = true
    this.#writeState()
    this.#announce()
  }

  get closeWaitsFor(): string {
    const most = Math.round(this.#options.timeout / 1000) + 5
    return `the payments that the gateways have in hand, up to ${Math.min(most, 15)} s`
  }

  close(): Promise<void> {
    return this.#system.close()
  }

  async #redisUrl(): Promise<string | undefined> {
    if (!needsRedis(this.#options.routing)) return undefined
    const url = await findRedis()
    if (url === undefined) throw new StartError(`--routing ${this.#options.routing} needs Redis: ${noRedis}`)
    return url
  }

  #writeState(): void {
    if (this.#ready && this.#options.state !== undefined)
      writeState(this.#options.state, this.#system.state())
  }

  /** What the provider's delay lets through, however fast everything else is. */
  #capacity(workers: number): string {
    const { concurrency, behaviour } = this.#options
    const atOnce = `${workers * concurrency} payments at the provider at once (--concurrency ${concurrency} a worker)`
    if (behaviour.delayMs === 0) return atOnce
    const most = Math.floor((workers * concurrency * 1000) / behaviour.delayMs)
    return `${atOnce}: with ${behaviour.delayMs} ms each, ${most} a second at most`
  }

  #announce(): void {
    const { brokers, gateways, workers, provider, routing } = this.#system.state()
    console.log(`ready ${gateways.map(({ url }) => url).join(' ')}`)
    console.log(`${workers.length} workers, routing ${routing}, brokers ${brokers}, provider ${provider.url}`)
    if (this.#joined === undefined) console.log(this.#capacity(workers.length))
    console.log('Ctrl-C ends it')
  }
}

/** Waits for all, so that none is still starting when the first failure is thrown. */
async function all(promises: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(promises))
    if (result.status === 'rejected') throw result.reason
}

runCommand(() => {
  const options = readOptions(process.argv.slice(2))
  if (options !== 'help') return new Payments(options)
  process.stdout.write(help)
  return undefined
})
