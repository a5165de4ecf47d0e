/**
 * The whole system: what is started, in which order, and with what. Each is a process of its own.
 *
 *   broker, database ─▶ topics, databases, tables ─▶ account services ─▶ exchange service, auditor, interference
 */
import { allSettled, Foundation, SupervisedChild, type ChildSpec, type Surroundings } from '@milena/hosting'
import { faultless, type Behaviour } from './account/behaviour.ts'
import { Ledger } from './account/ledger.ts'
import type { AccountConfig, ServiceFacts } from './account/main.ts'
import type { AuditConfig } from './audit/main.ts'
import { connect } from './database/connect.ts'
import { openDatabases, type DatabaseUrls } from './database/databases.ts'
import type { ExchangeConfig } from './exchange/main.ts'
import type { InterferenceConfig } from './interference/main.ts'
import { accountServices, currenciesOf, type AccountService } from './operations.ts'
import { partitions, topicsOf } from './topics.ts'

export interface SystemOptions {
  /** Begins the names of topics, groups and databases. */
  readonly prefix: string
  /** The exchange service's port; 0 takes any that is free. */
  readonly port: number
  readonly customers: readonly string[]
  /** Whether messages are repeated and reordered. */
  readonly interferes: boolean
  readonly log: (line: string) => void
}

/** What can be killed while money moves. */
export const services = ['exchange', ...accountServices] as const
export type Service = (typeof services)[number]

const entries = {
  exchange: new URL('exchange/main.ts', import.meta.url),
  account: new URL('account/main.ts', import.meta.url),
  auditor: new URL('audit/main.ts', import.meta.url),
  interference: new URL('interference/main.ts', import.meta.url),
}

/** The share of commands, replies and movements that come twice. */
const repeats = 0.1
const opening = { customer: 1_000_000_000, bank: 1_000_000_000_000 }

export class ExchangeSystem {
  readonly #options: SystemOptions
  readonly #foundation: Foundation
  readonly #services = new Map<Service, SupervisedChild>()
  readonly #configs = new Map<Service, AccountConfig | ExchangeConfig>()
  readonly #behaviours = new Map<AccountService, Behaviour>()
  /** Killed, and not ready again. */
  readonly #away = new Set<Service>()
  /** Taken down, and not brought up yet. */
  readonly #down = new Set<Service>()
  #auditor: SupervisedChild | undefined
  #interference: SupervisedChild | undefined
  #databases: DatabaseUrls | undefined

  constructor(options: SystemOptions) {
    this.#options = options
    this.#foundation = new Foundation('exchange', options.log)
  }

  get brokers(): string {
    return this.#foundation.brokers
  }

  get databases(): DatabaseUrls {
    return this.#databases!
  }

  async start(surroundings: Surroundings): Promise<void> {
    await this.#foundation.start(surroundings)
    const { prefix } = this.#options
    const [databases] = await allSettled([
      openDatabases(this.#foundation, prefix),
      this.#foundation.createTopics(topicsOf(prefix).map((name) => ({ name, partitions }))),
    ])
    this.#databases = databases
    await allSettled(accountServices.map((service) => this.#startAccount(service, databases)))
    await allSettled([
      this.#startExchange(databases),
      this.#startAuditor(databases),
      this.#startInterference(),
    ])
  }

  urlOf(service: Service): string {
    return (this.#services.get(service)!.facts as ServiceFacts).url
  }

  get auditorUrl(): string {
    return (this.#auditor!.facts as ServiceFacts).url
  }

  get interferenceUrl(): string | undefined {
    return (this.#interference?.facts as ServiceFacts | undefined)?.url
  }

  /** Whether it was ready, and was not killed since. */
  isUp(service: Service): boolean {
    return !this.#away.has(service) && this.isThere(service)
  }

  /** Whether its process is there; it may still be starting, or recovering. */
  isThere(service: Service): boolean {
    return !this.#down.has(service) && this.#services.get(service)?.alive === true
  }

  /** How an account service is to behave from its next start on; `PUT /behaviour` tells the one that runs. */
  setBehaviour(service: AccountService, behaviour: Behaviour): void {
    this.#behaviours.set(service, behaviour)
  }

  behaviourOf(service: AccountService): Behaviour {
    return this.#behaviours.get(service) ?? faultless
  }

  /** Kills it with SIGKILL; it is started again at once. */
  kill(service: Service): void {
    this.#away.add(service)
    this.#services.get(service)!.kill()
  }

  /** Kills it; it stays away until `bringUp`. */
  async takeDown(service: Service): Promise<void> {
    this.#down.add(service)
    const child = this.#services.get(service)!
    const stopped = child.stop()
    child.kill()
    await stopped
  }

  async bringUp(service: Service): Promise<void> {
    await this.#startService(service, this.#services.get(service)!.facts)
    this.#down.delete(service)
    this.#away.delete(service)
  }

  /** Ends everything that was started, and removes what it has left in brokers and databases of others. */
  async close(): Promise<void> {
    await this.#interference?.stop()
    await this.#services.get('exchange')?.stop()
    const rest = [...accountServices.map((service) => this.#services.get(service)), this.#auditor]
    await Promise.all(rest.map(async (child) => child?.stop()))
    await this.#foundation.close()
  }

  async #startAccount(service: AccountService, databases: DatabaseUrls): Promise<void> {
    const { prefix, customers } = this.#options
    const databaseUrl = databases[service]
    const pool = await connect(databaseUrl, 1)
    try {
      await new Ledger(pool).open(customers, currenciesOf[service], opening)
    } finally {
      await pool.end()
    }
    this.#configs.set(service, {
      service,
      port: 0,
      databaseUrl,
      brokers: this.brokers,
      prefix,
      behaviour: faultless,
    })
    await this.#startService(service)
  }

  async #startExchange(databases: DatabaseUrls): Promise<void> {
    const { prefix, port, interferes } = this.#options
    this.#configs.set('exchange', {
      port,
      databaseUrl: databases.exchange,
      brokers: this.brokers,
      prefix,
      accounts: { 'krw-account': this.urlOf('krw-account'), 'fx-account': this.urlOf('fx-account') },
      repeats: interferes ? repeats : 0,
    })
    await this.#startService('exchange')
  }

  async #startAuditor(databases: DatabaseUrls): Promise<void> {
    const config: AuditConfig = { databases }
    this.#auditor = this.#child('auditor', entries.auditor, config)
    await this.#auditor.start()
  }

  async #startInterference(): Promise<void> {
    const { prefix, interferes } = this.#options
    if (!interferes) return
    const config: InterferenceConfig = { brokers: this.brokers, prefix, repeats }
    this.#interference = this.#child('interference', entries.interference, config)
    await this.#interference.start()
  }

  /** @param facts of the process before, whose port it takes up again */
  async #startService(service: Service, facts?: unknown): Promise<void> {
    const entry = service === 'exchange' ? entries.exchange : entries.account
    const restartConfig = (before: unknown): unknown => {
      const config = { ...this.#configs.get(service)!, port: (before as ServiceFacts).port }
      const behaviour = service === 'exchange' ? undefined : this.#behaviours.get(service)
      return behaviour === undefined ? config : { ...config, behaviour }
    }
    const config = facts === undefined ? this.#configs.get(service) : restartConfig(facts)
    const onRestart = (): void => void this.#away.delete(service)
    const child = this.#child(service, entry, config, { restartConfig, onRestart })
    this.#services.set(service, child)
    await child.start()
  }

  #child(
    name: string,
    entry: URL,
    config: unknown,
    returns?: Pick<ChildSpec, 'restartConfig' | 'onRestart'>,
  ): SupervisedChild {
    const spec = { name, entry, config, ...returns }
    const { log } = this.#options
    return new SupervisedChild(spec, { restart: returns !== undefined, onChange: () => {}, log })
  }
}
