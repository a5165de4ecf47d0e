/**
 * The whole system: what is started, in which order, and with what. Each is a process of its own.
 *
 *   broker, database ─▶ topics, databases, tables ─▶ account services ─▶ exchange service, auditor, interference
 */
import {
  allSettled,
  Foundation,
  Services,
  SupervisedChild,
  type ServiceFacts,
  type Surroundings,
} from '@milena/hosting'
import { faultless, type Behaviour } from './account/behaviour.ts'
import { Ledger } from './account/ledger.ts'
import type { AccountConfig } from './account/main.ts'
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
  readonly #services: Services<Service>
  readonly #behaviours = new Map<AccountService, Behaviour>()
  #auditor: SupervisedChild | undefined
  #interference: SupervisedChild | undefined
  #databases: DatabaseUrls | undefined

  constructor(options: SystemOptions) {
    this.#options = options
    this.#foundation = new Foundation('exchange', options.log)
    this.#services = new Services(options.log)
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
    return this.#services.urlOf(service)
  }

  get auditorUrl(): string {
    return (this.#auditor!.facts as ServiceFacts).url
  }

  get interferenceUrl(): string | undefined {
    return (this.#interference?.facts as ServiceFacts | undefined)?.url
  }

  /** Whether it was ready, and was not killed since. */
  isUp(service: Service): boolean {
    return this.#services.isUp(service)
  }

  /** Whether its process is there; it may still be starting, or recovering. */
  isThere(service: Service): boolean {
    return this.#services.isThere(service)
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
    this.#services.kill(service)
  }

  /** Kills it; it stays away until `bringUp`. */
  takeDown(service: Service): Promise<void> {
    return this.#services.takeDown(service)
  }

  bringUp(service: Service): Promise<void> {
    return this.#services.bringUp(service)
  }

  /** Ends everything that was started, and removes what it has left in brokers and databases of others. */
  async close(): Promise<void> {
    await this.#interference?.stop()
    await this.#services.stop(['exchange'])
    await Promise.all([this.#services.stop(accountServices), this.#auditor?.stop()])
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
    const config = (): AccountConfig => {
      const behaviour = this.behaviourOf(service)
      return { service, port: 0, databaseUrl, brokers: this.brokers, prefix, behaviour }
    }
    await this.#services.start(service, { entry: entries.account, config })
  }

  async #startExchange(databases: DatabaseUrls): Promise<void> {
    const { prefix, port, interferes } = this.#options
    const config: ExchangeConfig = {
      port,
      databaseUrl: databases.exchange,
      brokers: this.brokers,
      prefix,
      accounts: { 'krw-account': this.urlOf('krw-account'), 'fx-account': this.urlOf('fx-account') },
      repeats: interferes ? repeats : 0,
    }
    await this.#services.start('exchange', { entry: entries.exchange, config: () => config })
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

  #child(name: string, entry: URL, config: unknown): SupervisedChild {
    const { log } = this.#options
    return new SupervisedChild({ name, entry, config }, { restart: false, onChange: () => {}, log })
  }
}
