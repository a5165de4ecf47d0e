/**
 * The whole system: what is started, in which order, and with what.
 *
 *   broker ─┐
 *           ├─▶ workers ─▶ gateways        provider and database begin together with the broker
 *   database, provider
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  brokerEntry,
  type BrokerConfig,
  type BrokerFacts,
  checkReachable,
  databaseEntry,
  type DatabaseFacts,
  type DatabaseOptions,
  findFreePort,
  requireFreePort,
  type ServiceFacts,
  SupervisedChild,
  type SupervisorOptions,
} from '@milena/hosting'
import { connect, schemaOf } from './database/connect.ts'
import { migrate } from './database/migrate.ts'
import type { GatewayConfig } from './gateway/main.ts'
import type { PaymentsOptions } from './options.ts'
import type { ProviderConfig } from './provider/main.ts'
import type { RoutingName } from './routing/choose.ts'
import type { SystemState } from './state-file.ts'
import type { WorkerConfig } from './worker/main.ts'

export interface Surroundings {
  /** `host:port,…`; without it, the embedded broker. */
  readonly brokers: string | undefined
  /** Without it, the embedded database. */
  readonly databaseUrl: string | undefined
  /** Without it, routings that need Redis cannot be had. */
  readonly redisUrl?: string | undefined
}

/** What gateways and workers need to know, whoever started it. */
export interface Base {
  readonly brokers: string
  readonly databaseUrl: string
  readonly redisUrl: string | undefined
  readonly provider: { readonly pid: number; readonly url: string }
}

export type SystemOptions = Omit<PaymentsOptions, 'gateways' | 'workers' | 'state' | 'supervise' | 'join'>

const entries = {
  broker: brokerEntry,
  database: databaseEntry,
  provider: new URL('provider/main.ts', import.meta.url),
  worker: new URL('worker/main.ts', import.meta.url),
  gateway: new URL('gateway/main.ts', import.meta.url),
}

export class PaymentSystem {
  readonly #options: SystemOptions
  readonly #supervisor: SupervisorOptions
  readonly #foundation: SupervisedChild[] = []
  #workers: SupervisedChild[] = []
  #gateways: SupervisedChild[] = []
  #base: Base | undefined
  #provider: SupervisedChild | undefined
  #runFolder: string | undefined

  constructor(options: SystemOptions, supervisor: SupervisorOptions) {
    this.#options = options
    this.#supervisor = supervisor
  }

  get gateways(): readonly SupervisedChild[] {
    return this.#gateways
  }

  /** Starts broker, database and provider. */
  async startFoundation({ brokers, databaseUrl, redisUrl }: Surroundings): Promise<void> {
    const { behaviour, prefix } = this.#options
    if (brokers !== undefined) await checkReachable(brokers)
    const folder = await mkdtemp(join(tmpdir(), 'milena-payments-'))
    this.#runFolder = folder
    // PostgreSQL may run as another user, who has to get at its own folder in here.
    await chmod(folder, 0o711)
    const provider: ProviderConfig = { port: 0, behaviour, ledgerFile: join(folder, 'ledger.jsonl') }
    const database: DatabaseOptions = { dataDir: join(folder, 'database'), port: await findFreePort() }
    const broker: BrokerConfig = { port: 0 }
    const started = await Promise.allSettled([
      brokers ??
        this.#startFoundation('broker', broker, (facts) => {
          return { port: Number((facts as BrokerFacts).brokers.split(':').at(-1)) }
        }),
      databaseUrl ??
        this.#startFoundation('database', database, (facts) => {
          return { ...database, password: (facts as DatabaseFacts).password }
        }),
      this.#startFoundation('provider', provider, (facts) => {
        return { ...provider, port: (facts as ServiceFacts).port }
      }),
    ])
    for (const result of started) if (result.status === 'rejected') throw result.reason
    const [onBroker, onDatabase, onProvider] = started.map((result) => (result as { value: unknown }).value)
    this.#provider = onProvider as SupervisedChild
    const base = {
      brokers:
        typeof onBroker === 'string'
          ? onBroker
          : ((onBroker as SupervisedChild).facts as BrokerFacts).brokers,
      databaseUrl:
        typeof onDatabase === 'string'
          ? onDatabase
          : ((onDatabase as SupervisedChild).facts as DatabaseFacts).url,
      redisUrl,
      provider: { pid: 0, url: (this.#provider.facts as ServiceFacts).url },
    }
    const pool = await connect(base.databaseUrl, prefix, 1)
    try {
      await migrate(pool, schemaOf(prefix))
    } finally {
      await pool.end()
    }
    this.#base = base
  }

  /** Uses the foundation of a system that runs already. */
  useFoundation(base: Base): void {
    this.#base = base
  }

  async addWorker(name = `worker-${this.#workers.length + 1}`): Promise<void> {
    const { prefix, concurrency, linger } = this.#options
    const { brokers, databaseUrl, provider, redisUrl } = this.#base!
    // What joined another system goes with its own command, for good.
    const returns = this.#supervisor.restart && this.#provider !== undefined
    const config: WorkerConfig = {
      name,
      brokers,
      prefix,
      databaseUrl,
      providerUrl: provider.url,
      redisUrl,
      concurrency,
      linger,
      returns,
    }
    const worker = new SupervisedChild({ name, entry: entries.worker, config }, this.#supervisor)
    this.#workers.push(worker)
    await worker.start()
  }

  async addGateway(
    port: number,
    name = `gateway-${this.#gateways.length + 1}`,
    routing: RoutingName = this.#options.routing,
  ): Promise<SupervisedChild> {
    const { prefix, partitionBy, timeout, maxPending, linger } = this.#options
    const { brokers, databaseUrl, redisUrl, provider } = this.#base!
    if (port !== 0) await requireFreePort(port)
    const config: GatewayConfig = {
      name,
      port,
      brokers,
      prefix,
      databaseUrl,
      providerUrl: provider.url,
      redisUrl,
      routing,
      partitionBy,
      timeout,
      maxPending,
      linger,
    }
    const spec = {
      name,
      entry: entries.gateway,
      config,
      restartConfig: (facts: unknown) => ({ ...config, port: (facts as ServiceFacts).port }),
    }
    const gateway = new SupervisedChild(spec, this.#supervisor)
    this.#gateways.push(gateway)
    await gateway.start()
    return gateway
  }

  async removeGateway(gateway: SupervisedChild): Promise<void> {
    await gateway.stop()
    this.#gateways = this.#gateways.filter((other) => other !== gateway)
  }

  state(): SystemState {
    const { brokers, databaseUrl, redisUrl, provider } = this.#base!
    return {
      pid: process.pid,
      brokers,
      gateways: alive(this.#gateways).map(({ pid, facts }) => ({ pid, url: (facts as ServiceFacts).url })),
      workers: alive(this.#workers).map(({ pid }) => ({ pid })),
      provider: { pid: this.#provider?.pid ?? provider.pid, url: provider.url },
      database: databaseUrl,
      ...(redisUrl !== undefined && { redis: redisUrl }),
      prefix: this.#options.prefix,
      routing: this.#options.routing,
    }
  }

  /** Ends everything that this system has started: gateways first, so that what they have in hand is still answered. */
  async close(): Promise<void> {
    await Promise.all(this.#gateways.map((gateway) => gateway.stop()))
    await Promise.all(this.#workers.map((worker) => worker.stop()))
    await Promise.all(this.#foundation.map((child) => child.stop()))
    if (this.#runFolder !== undefined) await rm(this.#runFolder, { recursive: true, force: true })
  }

  /** The embedded broker keeps nothing: with it the topics are gone, which only those that begin anew create again. */
  #beginAnew(): void {
    this.#supervisor.log('the embedded broker came back empty: restarting workers and gateways')
    for (const child of [...this.#workers, ...this.#gateways]) child.kill()
  }

  async #startFoundation(
    name: 'broker' | 'database' | 'provider',
    config: unknown,
    restartConfig: (facts: unknown) => unknown,
  ): Promise<SupervisedChild> {
    const child = new SupervisedChild(
      {
        name,
        entry: entries[name],
        config,
        restartConfig,
        ...(name === 'broker' && { onRestart: () => this.#beginAnew() }),
      },
      this.#supervisor,
    )
    this.#foundation.push(child)
    await child.start()
    return child
  }
}

function alive(children: readonly SupervisedChild[]): SupervisedChild[] {
  return children.filter((child) => child.alive)
}
