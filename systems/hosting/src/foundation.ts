/** What a system stands on: brokers and a database server, those that are named, or embedded ones that end with it. */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brokerEntry, type BrokerConfig, type BrokerFacts } from './broker/entry.ts'
import { checkReachable } from './broker/reachable.ts'
import { deleteTopics } from './broker/topics.ts'
import { dropDatabases } from './database/databases.ts'
import { databaseEntry, type DatabaseFacts } from './database/entry.ts'
import type { ServerOptions } from './database/server.ts'
import { findFreePort } from './process/free-port.ts'
import { SupervisedChild } from './process/supervisor.ts'

export interface Surroundings {
  /** `host:port,…`; without it, the embedded broker. */
  readonly brokers?: string | undefined
  /** Without it, the embedded database. */
  readonly databaseUrl?: string | undefined
}

export class Foundation {
  readonly #name: string
  readonly #log: (line: string) => void
  readonly #children: SupervisedChild[] = []
  #brokers: string | undefined
  #databaseUrl: string | undefined
  #given: Surroundings = {}
  #folder: string | undefined

  /** @param name names the folder of the embedded ones */
  constructor(name: string, log: (line: string) => void) {
    this.#name = name
    this.#log = log
  }

  get brokers(): string {
    return this.#brokers!
  }

  /** Of the server, not of a database of the system's own. */
  get databaseUrl(): string {
    return this.#databaseUrl!
  }

  /** @throws StartError when a named one does not answer */
  async start(given: Surroundings): Promise<void> {
    if (given.brokers !== undefined) await checkReachable(given.brokers)
    this.#given = given
    const folder = await mkdtemp(join(tmpdir(), `milena-${this.#name}-`))
    this.#folder = folder
    // PostgreSQL may run as another user, who has to get at its own folder in here.
    await chmod(folder, 0o711)
    await allSettled([this.#startBroker(), this.#startDatabase(folder)])
  }

  /** Removes what a system has left, under names that begin with `prefix`, in brokers and databases that stay. */
  async clean(prefix: string, databases: readonly string[]): Promise<void> {
    const { brokers, databaseUrl } = this.#given
    const cleaned = await Promise.allSettled([
      brokers !== undefined && deleteTopics(brokers, prefix),
      databaseUrl !== undefined && dropDatabases(databaseUrl, prefix, databases),
    ])
    for (const result of cleaned)
      if (result.status === 'rejected') this.#log(`something is left of ${prefix}: ${String(result.reason)}`)
  }

  async close(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.stop()))
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true })
  }

  async #startBroker(): Promise<void> {
    const config: BrokerConfig = { port: 0 }
    this.#brokers =
      this.#given.brokers ?? ((await this.#child('broker', brokerEntry, config)) as BrokerFacts).brokers
  }

  async #startDatabase(folder: string): Promise<void> {
    const config: ServerOptions = { dataDir: join(folder, 'database'), port: await findFreePort() }
    this.#databaseUrl =
      this.#given.databaseUrl ?? ((await this.#child('database', databaseEntry, config)) as DatabaseFacts).url
  }

  async #child(name: string, entry: URL, config: unknown): Promise<unknown> {
    const options = { restart: false, onChange: () => {}, log: this.#log }
    const child = new SupervisedChild({ name, entry, config }, options)
    this.#children.push(child)
    await child.start()
    return child.facts
  }
}

/** Waits for all, so that none is still starting when the first failure is thrown. */
export async function allSettled(promises: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(promises))
    if (result.status === 'rejected') throw result.reason
}
