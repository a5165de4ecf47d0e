/** `npm run hello`: the prepaid service, the smallest complete example. */
import {
  brokerEntry,
  checkReachable,
  requireFreePort,
  runCommand,
  SupervisedChild,
  type BrokerConfig,
  type BrokerFacts,
  type Command,
} from '@milena/hosting'
import { help, readOptions, type HelloOptions } from './options.ts'
import type { SideConfig, SideFacts } from './side.ts'

class Hello implements Command {
  readonly #options: HelloOptions
  readonly #children: SupervisedChild[] = []

  constructor(options: HelloOptions) {
    this.#options = options
  }

  async run(): Promise<number | undefined> {
    const { role, port, exit, prefix } = this.#options
    if (port !== 0) await requireFreePort(port)
    const brokers = await this.#findBrokers()
    if (role !== 'requester') await this.#startSide({ role: 'replier', brokers, port, prefix })
    if (role === 'replier') {
      console.log(`ready: the replier answers on ${brokers}; Ctrl-C ends it`)
      return undefined
    }
    const { url } = await this.#startSide({ role: 'requester', brokers, port, prefix })
    if (role === 'both') {
      const response = await fetch(`${url}/test/sendEvent?str=hello`)
      console.log(`GET /test/sendEvent?str=hello -> ${response.status} ${await response.text()}`)
      if (exit) return response.ok ? 0 : 1
    }
    console.log(`ready: curl '${url}/test/sendEvent?str=hello'   brokers ${brokers}; Ctrl-C ends it`)
    return undefined
  }

  async close(): Promise<void> {
    for (const child of this.#children.toReversed()) await child.stop()
  }

  async #findBrokers(): Promise<string> {
    const { brokers } = this.#options
    if (brokers === undefined) {
      const config: BrokerConfig = { port: 0 }
      return ((await this.#start('broker', brokerEntry, config)) as BrokerFacts).brokers
    }
    await checkReachable(brokers)
    return brokers
  }

  async #startSide(config: SideConfig): Promise<SideFacts> {
    return (await this.#start(config.role, new URL('side.ts', import.meta.url), config)) as SideFacts
  }

  async #start(name: string, entry: URL, config: unknown): Promise<unknown> {
    const child = new SupervisedChild(
      { name, entry, config },
      { restart: false, onChange() {}, log: (line) => console.error(line) },
    )
    this.#children.push(child)
    await child.start()
    return child.facts
  }
}

runCommand(() => {
  const options = readOptions(process.argv.slice(2), process.env['KAFKA_BROKERS'] || undefined)
  if (options !== 'help') return new Hello(options)
  process.stdout.write(help)
  return undefined
})
