/** What a system stands on: brokers and a database server, those that are named, or embedded ones that end with it. */
import type { TopicSpec } from '@milena/request-reply'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brokerEntry, type BrokerConfig, type BrokerFacts } from './broker/entry.ts'
import { checkReachable } from './broker/reachable.ts'
import { createTopics, deleteTopics } from './broker/topics.ts'
import { createDatabase, dropDatabases } from './database/databases.ts'
import { databaseEntry, type DatabaseFacts } from './database/entry.ts'
import type { ServerOptions } from './database/server.ts'
import { findFreePort } from './process/free-port.ts'
import { messageOf } from './process/start-error.ts'
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
  /** Of the system's own, by their whole names. */
  readonly #topics: string[] = []
  readonly #databases: string[] = []

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

  /**
   * Makes topics of the system's own; `close` removes them, with the retry topics and dead letters that come of them.
   *
   * @throws StartError when one is there already: it is another run's, and stays
   */
  async createTopics(topics: readonly TopicSpec[]): Promise<void> {
    await createTopics(this.brokers, topics)
    this.#topics.push(...topics.map(({ name }) => name))
  }

  /**
   * Makes databases of the system's own, and gives their URLs by these names; `close` removes them.
   *
   * @param prefix begins the databases' own names
   * @throws StartError when one is there already: it is another run's, and stays
   */
  async createDatabases<Name extends string>(
    prefix: string,
    names: readonly Name[],
  ): Promise<Readonly<Record<Name, string>>> {
    const urls: Partial<Record<Name, string>> = {}
    for (const name of names) {
      // oxlint-disable-next-line no-await-in-loop -- each copies the same template
      urls[name] = await createDatabase(this.databaseUrl, `${prefix}${name}`)
      this.#databases.push(`${prefix}${name}`)
    }
    return urls as Record<Name, string>
  }

  /** Removes what was made in brokers and databases that stay, and ends those that do not. */
  async close(): Promise<void> {
    await this.#clean()
    await Promise.all(this.#children.map((child) => child.stop()))
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true })
  }

  async #clean(): Promise<void> {
    const { brokers, databaseUrl } = this.#given
    const [topics, databases] = [this.#topics.splice(0), this.#databases.splice(0)]
    const cleaned = await Promise.allSettled([
      brokers !== undefined && topics.length > 0 && deleteTopics(brokers, topics),
      databaseUrl !== undefined && databases.length > 0 && dropDatabases(databaseUrl, databases),
    ])
    for (const [index, result] of cleaned.entries())
      if (result.status === 'rejected')
        this.#log(`left behind: ${[topics, databases][index]!.join(', ')} (${messageOf(result.reason)})`)
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

/** As `Promise.all`, but waits for all, so that none is still starting when the first failure is thrown. */
export async function allSettled<const Values extends readonly unknown[]>(
  values: Values,
): Promise<{ -readonly [Place in keyof Values]: Awaited<Values[Place]> }> {
  await Promise.allSettled(values)
  return Promise.all(values)
}
