/**
 * The whole system: what is started, in which order, and with what. Each is a process of its own.
 *
 *   broker, database ─▶ topics, tables, shops ─▶ workers ─▶ requesters
 */
import { allSettled, Foundation, Services, type ServiceFacts, type Surroundings } from '@milena/hosting'
import { openDatabase } from './database/database.ts'
import { namesOf, topicsOf, type Names } from './domain/messages.ts'
import type { RequesterConfig } from './requester/main.ts'
import type { WorkerConfig } from './worker/main.ts'

export interface SystemOptions {
  /** Begins the names of topics, group and database. */
  readonly prefix: string
  /** The first requester's port, and those after it the others'; 0 takes any that are free. */
  readonly port: number
  readonly requesters: number
  readonly workers: number
  readonly shops: number
  readonly log: (line: string) => void
}

/** What can be killed, by its name. */
export type Service = `requester-${number}` | `worker-${number}`

const entries = {
  requester: new URL('requester/main.ts', import.meta.url),
  worker: new URL('worker/main.ts', import.meta.url),
}

export class DeliverySystem {
  readonly #options: SystemOptions
  readonly #foundation: Foundation
  readonly #services: Services<Service>
  #databaseUrl: string | undefined

  constructor(options: SystemOptions) {
    this.#options = options
    this.#foundation = new Foundation('delivery', options.log)
    this.#services = new Services(options.log)
  }

  get brokers(): string {
    return this.#foundation.brokers
  }

  /** Of the system's own database. */
  get databaseUrl(): string {
    return this.#databaseUrl!
  }

  get topics(): Names {
    return namesOf(this.#options.prefix)
  }

  get requesters(): readonly ServiceFacts[] {
    return this.#named('requester').map((name) => this.#services.factsOf(name) as ServiceFacts)
  }

  async start(surroundings: Surroundings): Promise<void> {
    await this.#foundation.start(surroundings)
    const { prefix, workers, requesters, shops } = this.#options
    const [databaseUrl] = await allSettled([
      openDatabase(this.#foundation, prefix, shops),
      this.#foundation.createTopics(topicsOf(prefix)),
    ])
    this.#databaseUrl = databaseUrl
    await allSettled(range(workers).map((n) => this.#startWorker(`worker-${n}`)))
    await allSettled(range(requesters).map((n) => this.#startRequester(`requester-${n}`, n)))
  }

  /** Whether it was ready, and was not killed since. */
  isUp(service: Service): boolean {
    return this.#services.isUp(service)
  }

  /** Kills it with SIGKILL; it is started again at once. */
  kill(service: Service): void {
    this.#services.kill(service)
  }

  /** Has it stand still with SIGSTOP, as a machine does that has no memory left, until `resume`. */
  pause(service: Service): void {
    process.kill(this.pidOf(service), 'SIGSTOP')
  }

  resume(service: Service): void {
    process.kill(this.pidOf(service), 'SIGCONT')
  }

  pidOf(service: Service): number {
    return this.#services.pidOf(service)
  }

  /** Ends everything that was started, and removes what it has left in brokers and databases of others. */
  async close(): Promise<void> {
    await this.#services.stop(this.#named('requester'))
    await this.#services.stop(this.#named('worker'))
    await this.#foundation.close()
  }

  #startWorker(name: Service): Promise<void> {
    const config: WorkerConfig = { name, ...this.#shared() }
    return this.#services.start(name, { entry: entries.worker, config: () => config })
  }

  #startRequester(name: Service, number: number): Promise<void> {
    const { port } = this.#options
    const config: RequesterConfig = { name, port: port === 0 ? 0 : port + number - 1, ...this.#shared() }
    return this.#services.start(name, { entry: entries.requester, config: () => config })
  }

  #shared(): Pick<WorkerConfig, 'brokers' | 'databaseUrl' | 'prefix'> {
    return { brokers: this.brokers, databaseUrl: this.databaseUrl, prefix: this.#options.prefix }
  }

  #named<Kind extends 'requester' | 'worker'>(kind: Kind): readonly `${Kind}-${number}`[] {
    return range(this.#options[`${kind}s`]).map((n) => `${kind}-${n}` as const)
  }
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1)
}
