/** One routing's trial: two gateways under load, then three and two again while the load goes on. */
import { setTimeout as sleep } from 'node:timers/promises'
import { JsonClient, type ServiceFacts, type SupervisedChild } from '@milena/hosting'
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

type Phase = `warm-up-${number}` | 'steady' | 'scaled'

const titles: Partial<Record<Phase, string>> = {
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
/** Milliseconds that replies of callers who were not answered are waited for, and that the gateways' group may take to form. */
const longestWait = 20_000
const longestForming = 120_000

export class Trial {
  readonly #system: PaymentSystem
  readonly #options: TrialOptions
  #members: Member[] = []

  constructor(system: PaymentSystem, options: TrialOptions) {
    this.#system = system
    this.#options = options
  }

  /**
   * Two gateways, warmed up: a process's first payments are its slowest, whatever the routing. Where they share a group,
   * until it has formed, which shows itself in a reply that the wrong one has read.
   */
  async start(): Promise<void> {
    const { ports, routing } = this.#options
    this.#members = await Promise.all([this.#add(ports[0], 1), this.#add(ports[1], 2)])
    const until = Date.now() + longestForming
    for (let round = 1; ; round++) {
      const { lostToWrongGateway } = await this.#measure(`warm-up-${round}`, warmUp)
      if (routing !== 'sameGroup' || lostToWrongGateway > 0 || Date.now() > until) return
    }
  }

  /** Two gateways throughout. */
  steady(): Promise<Row> {
    return this.#measure('steady', this.#count)
  }

  /** A third gateway comes after a third of the load, and goes after two thirds. */
  async scaled(): Promise<Row> {
    const { seconds, ports } = this.#options
    const third = (seconds * 1000) / 3
    return this.#measure('scaled', this.#count, async () => {
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
  }

  async end(): Promise<void> {
    const members = this.#members
    this.#members = []
    await Promise.all(members.map((member) => this.#remove(member)))
  }

  get #count(): number {
    return this.#options.rate * this.#options.seconds
  }

  /** @param meanwhile what happens during the load; gives what gateways that have gone had counted */
  async #measure(
    phase: Phase,
    count: number,
    meanwhile: () => Promise<Counters[]> = () => Promise.resolve([]),
  ): Promise<Row> {
    const { routing, rate, run, timeout, onProgress } = this.#options
    const before = await this.#counters()
    const title = titles[phase] ?? 'warming up'
    const sent = runLoad({
      clients: () => this.#members.map(({ client }) => client),
      rate,
      count,
      orderPrefix: orderPrefix(run, routing, phase),
      timeout: timeout + 10_000,
      onProgress: (sent) => onProgress(`: ${title}: ${sent} of ${count} payments`),
    })
    const [load, gone] = await Promise.all([sent, meanwhile()])
    const counted = async (): Promise<Counters[]> => {
      const now = await this.#counters()
      return [...now.map((counters, index) => since(before[index]!, counters)), ...gone]
    }
    // A reply that is only late is not lost; one that the wrong gateway has read will never come.
    const isRead = (counters: readonly Counters[]): boolean => {
      const read = counters.reduce(
        (sum, one) => sum + one.late + (routing === 'sameGroup' ? one.foreign : 0),
        0,
      )
      return read >= load.timedOut
    }
    const until = Date.now() + longestWait
    let counters = await counted()
    while (!isRead(counters) && Date.now() < until) {
      await sleep(100)
      counters = await counted()
    }
    return toRow(routing, load, counters)
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
