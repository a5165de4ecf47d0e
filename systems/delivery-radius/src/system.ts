/**
 * The whole system: what is started, in which order, and with what. Each is a process of its own.
 *
 *   broker, database ─▶ topics, tables, shops ─▶ workers ─▶ requesters
 */
import {
  brokerEntry,
  checkReachable,
  databaseEntry,
  findFreePort,
  SupervisedChild,
  type BrokerConfig,
  type BrokerFacts,
  type ChildSpec,
  type DatabaseFacts,
  type DatabaseOptions,
} from '@milena/hosting'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from './database/connect.ts'
import { createDatabase, dropDatabase } from './database/database.ts'
import { createShops } from './database/shops.ts'
import { namesOf, type Names } from './domain/messages.ts'
import type { RequesterConfig, RequesterFacts } from './requester/main.ts'
import { createTopics, deleteTopics } from './topics.ts'
import type { WorkerConfig } from './worker/main.ts'

export interface Surroundings {
  /** `host:port,…`; without it, the embedded broker. */
  readonly brokers?: string | undefined
  /** Without it, the embedded database. */
  readonly databaseUrl?: string | undefined
}

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
  readonly #foundation: SupervisedChild[] = []
  readonly #services = new Map<Service, SupervisedChild>()
  /** Killed, and not ready again. */
  readonly #away = new Set<Service>()
  #brokers: string | undefined
  #serverUrl: string | undefined
  #databaseUrl: string | undefined
  #ownsBrokers = false
  #ownsDatabase = false
  #folder: string | undefined

  constructor(options: SystemOptions) {
    this.#options = options
  }

  get brokers(): string {
    return this.#brokers!
  }

  /** Of the system's own database. */
  get databaseUrl(): string {
    return this.#databaseUrl!
  }

  get topics(): Names {
    return namesOf(this.#options.prefix)
  }

  get requesters(): readonly RequesterFacts[] {
    return this.#named('requester').map((child) => child.facts as RequesterFacts)
  }

  async start({ brokers, databaseUrl }: Surroundings): Promise<void> {
    if (brokers !== undefined) await checkReachable(brokers)
    const folder = await mkdtemp(join(tmpdir(), 'milena-delivery-'))
    this.#folder = folder
    // PostgreSQL may run as another user, who has to get at its own folder in here.
    await chmod(folder, 0o711)
    await all([this.#startBroker(brokers), this.#startDatabase(databaseUrl, folder)])
    const { prefix, workers, requesters } = this.#options
    await all([this.#createDatabase(), createTopics(this.brokers, prefix)])
    await all(range(workers).map((n) => this.#startWorker(`worker-${n}`)))
    await all(range(requesters).map((n) => this.#startRequester(`requester-${n}`, n)))
  }

  /** Whether it was ready, and was not killed since. */
  isUp(service: Service): boolean {
    return !this.#away.has(service) && this.#services.get(service)?.alive === true
  }

  /** Kills it with SIGKILL; it is started again at once. */
  kill(service: Service): void {
    this.#away.add(service)
    this.#services.get(service)!.kill()
  }

  /** Has it stand still with SIGSTOP, as a machine does that has no memory left, until `resume`. */
  pause(service: Service): void {
    process.kill(this.pidOf(service), 'SIGSTOP')
  }

  resume(service: Service): void {
    process.kill(this.pidOf(service), 'SIGCONT')
  }

  pidOf(service: Service): number {
    return this.#services.get(service)!.pid
  }

  /** Ends everything that was started, and removes what it has left in brokers and databases of others. */
  async close(): Promise<void> {
    const { prefix, log } = this.#options
    await Promise.all(this.#named('requester').map((child) => child.stop()))
    await Promise.all(this.#named('worker').map((child) => child.stop()))
    const cleaned = await Promise.allSettled([
      this.#brokers !== undefined && !this.#ownsBrokers && deleteTopics(this.#brokers, prefix),
      this.#serverUrl !== undefined &&
        !this.#ownsDatabase &&
        dropDatabase(this.#serverUrl, databaseOf(prefix)),
    ])
    for (const result of cleaned)
      if (result.status === 'rejected') log(`something is left of ${prefix}: ${String(result.reason)}`)
    await Promise.all(this.#foundation.map((child) => child.stop()))
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true })
  }

  async #startBroker(brokers: string | undefined): Promise<void> {
    this.#ownsBrokers = brokers === undefined
    const config: BrokerConfig = { port: 0 }
    this.#brokers = brokers ?? ((await this.#found('broker', brokerEntry, config)) as BrokerFacts).brokers
  }

  async #startDatabase(url: string | undefined, folder: string): Promise<void> {
    this.#ownsDatabase = url === undefined
    const config: DatabaseOptions = { dataDir: join(folder, 'database'), port: await findFreePort() }
    this.#serverUrl = url ?? ((await this.#found('database', databaseEntry, config)) as DatabaseFacts).url
  }

  async #found(name: string, entry: URL, config: unknown): Promise<unknown> {
    const child = this.#child({ name, entry, config }, false)
    this.#foundation.push(child)
    await child.start()
    return child.facts
  }

  async #createDatabase(): Promise<void> {
    const { prefix, shops } = this.#options
    this.#databaseUrl = await createDatabase(this.#serverUrl!, databaseOf(prefix))
    const pool = await connect(this.#databaseUrl, 1)
    try {
      await createShops(pool, shops)
    } finally {
      await pool.end()
    }
  }

  #startWorker(name: Service): Promise<void> {
    const config: WorkerConfig = { name, ...this.#shared() }
    return this.#startService(name, { name, entry: entries.worker, config })
  }

  #startRequester(name: Service, number: number): Promise<void> {
    const { port } = this.#options
    const config: RequesterConfig = { name, port: port === 0 ? 0 : port + number - 1, ...this.#shared() }
    const restartConfig = (facts: unknown): RequesterConfig => {
      return { ...config, port: (facts as RequesterFacts).port }
    }
    return this.#startService(name, { name, entry: entries.requester, config, restartConfig })
  }

  #startService(service: Service, spec: ChildSpec): Promise<void> {
    const child = this.#child({ ...spec, onRestart: () => void this.#away.delete(service) }, true)
    this.#services.set(service, child)
    return child.start()
  }

  #shared(): Pick<WorkerConfig, 'brokers' | 'databaseUrl' | 'prefix'> {
    return { brokers: this.brokers, databaseUrl: this.databaseUrl, prefix: this.#options.prefix }
  }

  #child(spec: ChildSpec, restart: boolean): SupervisedChild {
    return new SupervisedChild(spec, { restart, onChange: () => {}, log: this.#options.log })
  }

  #named(kind: 'requester' | 'worker'): SupervisedChild[] {
    return [...this.#services.values()].filter(({ name }) => name.startsWith(kind))
  }
}

function databaseOf(prefix: string): string {
  return `${prefix}delivery-radius`
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1)
}

/** Waits for all, so that none is still starting when the first failure is thrown. */
async function all(promises: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(promises))
    if (result.status === 'rejected') throw result.reason
}
