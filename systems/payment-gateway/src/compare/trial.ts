/** One routing's trial: two gateways under load, then three and two again while the load goes on. */
import { setTimeout as sleep } from 'node:timers/promises'
import { JsonClient, type SupervisedChild } from '@milena/hosting'
import type { ServiceFacts } from '../provider/main.ts'
import type { RoutingName } from '../routing/choose.ts'
import type { PaymentSystem } from '../system.ts'
import { runLoad } from './load.ts'
import { readCounters, since, toRow, type Counters, type Row } from './measure.ts'

export interface TrialOptions {
  readonly routing: RoutingName
  readonly rate: number
  readonly seconds: number
  readonly ports: readonly [number, number, number]
  /** Tells the trials' orders apart. */
  readonly run: string
  /** Milliseconds that a gateway lets its caller wait. */
  readonly timeout: number
  readonly onProgress: (text: string) => void
}

type Phase = 'warm-up' | 'steady' | 'scaled'

const titles: Record<Phase, string> = {
  'warm-up': 'warming up',
  steady: '2 gateways',
  scaled: '2 → 3 → 2 gateways',
}

/** What the ids of a load's orders begin with. */
export function orderPrefix(run: string, routing: RoutingName, phase: Phase): string {
  return `${run}-${routing}-${phase}-`
}

interface Member {
  readonly gateway: SupervisedChild
  readonly client: JsonClient
}

/** Payments that are sent before anything is measured. */
const warmUp = 60

export class Trial {
  readonly #system: PaymentSystem
  readonly #options: TrialOptions
  #members: Member[] = []

  constructor(system: PaymentSystem, options: TrialOptions) {
    this.#system = system
    this.#options = options
  }

  /** Two gateways, warmed up: a process's first payments are its slowest, whatever the routing. */
  async start(): Promise<void> {
    const { ports } = this.#options
    this.#members = await Promise.all([this.#add(ports[0], 1), this.#add(ports[1], 2)])
    await this.#load('warm-up', warmUp, () => Promise.resolve([]))
  }

  /** Two gateways throughout. */
  async steady(): Promise<Row> {
    const before = await this.#counters()
    const load = await this.#load('steady', this.#count, () => Promise.resolve([]))
    await this.#awaitLateReplies(before, load.timedOut)
    const after = await this.#counters()
    return toRow(
      this.#options.routing,
      load,
      after.map((now, index) => since(before[index]!, now)),
    )
  }

  /** A third gateway comes after a third of the load, and goes after two thirds. */
  async scaled(): Promise<Row> {
    const { seconds, ports, routing } = this.#options
    const before = await this.#counters()
    const third = (seconds * 1000) / 3
    const load = await this.#load('scaled', this.#count, async () => {
      await sleep(third)
      const added = await this.#add(ports[2], 3)
      this.#members.push(added)
      await sleep(third)
      // As behind a load balancer: first no new payments, then its end.
      this.#members = this.#members.filter((member) => member !== added)
      let counters = await readCounters(added.client)
      while (counters.inHand > 0) {
        await sleep(50)
        counters = await readCounters(added.client)
      }
      await this.#remove(added)
      return [counters]
    })
    await this.#awaitLateReplies(before, load.timedOut)
    const after = await this.#counters()
    const stayed = after.map((now, index) => since(before[index]!, now))
    return toRow(routing, load, [...stayed, ...load.gone])
  }

  async end(): Promise<void> {
    const members = this.#members
    this.#members = []
    await Promise.all(members.map((member) => this.#remove(member)))
  }

  get #count(): number {
    return this.#options.rate * this.#options.seconds
  }

  async #load(what: Phase, count: number, meanwhile: () => Promise<Counters[]>) {
    const { routing, rate, run, timeout, onProgress } = this.#options
    const load = runLoad({
      clients: () => this.#members.map(({ client }) => client),
      rate,
      count,
      orderPrefix: orderPrefix(run, routing, what),
      timeout: timeout + 10_000,
      onProgress: (sent) => onProgress(`: ${titles[what]}: ${sent} of ${count} payments`),
    })
    const [result, gone] = await Promise.all([load, meanwhile()])
    return { ...result, gone }
  }

  /** A reply that is only late is not lost; one that the wrong gateway has read will never come. */
  async #awaitLateReplies(before: readonly Counters[], timedOut: number): Promise<void> {
    if (this.#options.routing === 'sameGroup') return
    const until = Date.now() + 20_000
    const late = async () =>
      (await this.#counters()).reduce((sum, now, index) => sum + now.late - before[index]!.late, 0)
    while (Date.now() < until && (await late()) < timedOut) await sleep(100)
  }

  #counters(): Promise<Counters[]> {
    return Promise.all(this.#members.map(({ client }) => readCounters(client)))
  }

  async #add(port: number, number: number): Promise<Member> {
    const gateway = await this.#system.addGateway(port, `gateway-${number}`, this.#options.routing)
    return { gateway, client: new JsonClient((gateway.facts as ServiceFacts).url, 2_000) }
  }

  async #remove({ gateway, client }: Member): Promise<void> {
    await this.#system.removeGateway(gateway)
    client.close()
  }
}
