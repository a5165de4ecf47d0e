/**
 * The whole system: what is started, in which order, and with what. Each is a process of its own.
 *
 *   broker, database ─▶ topics, databases, tables ─▶ mailbox ─▶ Mail API ─▶ mail worker, coupon service
 */
import { allSettled, Foundation, StartError, SupervisedChild, type Surroundings } from '@milena/hosting'
import type { CouponConfig } from './coupon/main.ts'
import { openDatabases, type DatabaseUrls } from './databases.ts'
import type { MailApiConfig } from './mail-api/main.ts'
import type { MailboxConfig, MailboxFacts } from './mailbox/main.ts'
import type { ServiceFacts } from './service-facts.ts'
import { topicsOf } from './topics.ts'
import type { WorkerConfig } from './worker/main.ts'

export interface SystemOptions {
  /** Begins the names of topics, groups and databases. */
  readonly prefix: string
  /** The coupon service's port; 0 takes any that is free. */
  readonly port: number
  /** Of our own SMTP server; see `MailboxConfig`. */
  readonly mailbox: MailboxConfig
  /** A defect, on purpose: see `MailApiConfig`. */
  readonly apiForgets: boolean
  readonly log: (line: string) => void
}

export interface CouponSurroundings extends Surroundings {
  /** Another SMTP server than our own, whose mailbox we cannot ask. */
  readonly smtpUrl?: string | undefined
}

/** What can be killed while mails are sent. */
export const services = ['coupon', 'mail-worker', 'mail-api'] as const
export type Service = (typeof services)[number]

const entries = {
  coupon: new URL('coupon/main.ts', import.meta.url),
  'mail-worker': new URL('worker/main.ts', import.meta.url),
  'mail-api': new URL('mail-api/main.ts', import.meta.url),
  mailbox: new URL('mailbox/main.ts', import.meta.url),
}

export class CouponSystem {
  readonly #options: SystemOptions
  readonly #foundation: Foundation
  readonly #services = new Map<Service, SupervisedChild>()
  readonly #configs = new Map<Service, CouponConfig | WorkerConfig | MailApiConfig>()
  /** Killed or taken down, and not ready again. */
  readonly #away = new Set<Service>()
  #mailbox: SupervisedChild | undefined
  #databases: DatabaseUrls | undefined

  constructor(options: SystemOptions) {
    this.#options = options
    this.#foundation = new Foundation('coupons', options.log)
  }

  get brokers(): string {
    return this.#foundation.brokers
  }

  get databases(): DatabaseUrls {
    return this.#databases!
  }

  /** The mailbox over HTTP; `undefined` with another SMTP server. */
  get mailboxUrl(): string | undefined {
    return (this.#mailbox?.facts as ServiceFacts | undefined)?.url
  }

  async start({ smtpUrl, ...surroundings }: CouponSurroundings): Promise<void> {
    if (smtpUrl !== undefined && !(/^smtps?:\/\/./.test(smtpUrl) && URL.canParse(smtpUrl)))
      throw new StartError('SMTP_URL must be smtp://host:port or smtps://user:password@host:port')
    await this.#foundation.start(surroundings)
    const { prefix } = this.#options
    const [databases, smtp] = await allSettled([
      openDatabases(this.#foundation, prefix),
      smtpUrl ?? this.#startMailbox(),
      this.#foundation.createTopics(topicsOf(prefix)),
    ])
    this.#databases = databases
    await this.#startMailApi(databases, smtp)
    await allSettled([this.#startWorker(databases), this.#startCoupon(databases)])
  }

  urlOf(service: Exclude<Service, 'mail-worker'>): string {
    return (this.#services.get(service)!.facts as ServiceFacts).url
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

  /** Kills it; it stays away until `bringUp`. */
  async takeDown(service: Service): Promise<void> {
    this.#away.add(service)
    const child = this.#services.get(service)!
    const stopped = child.stop()
    child.kill()
    await stopped
  }

  async bringUp(service: Service): Promise<void> {
    await this.#startService(service, this.#services.get(service)!.facts)
    this.#away.delete(service)
  }

  /** Ends everything that was started, and removes what it has left in brokers and databases of others. */
  async close(): Promise<void> {
    for (const service of services)
      // oxlint-disable-next-line no-await-in-loop -- each after those that need it
      await this.#services.get(service)?.stop()
    await this.#mailbox?.stop()
    await this.#foundation.close()
  }

  async #startMailbox(): Promise<string> {
    const { mailbox } = this.#options
    this.#mailbox = this.#child('mailbox', entries.mailbox, mailbox, false)
    await this.#mailbox.start()
    return (this.#mailbox.facts as MailboxFacts).smtpUrl
  }

  async #startMailApi(databases: DatabaseUrls, smtpUrl: string): Promise<void> {
    const forgets = this.#options.apiForgets
    this.#configs.set('mail-api', { port: 0, databaseUrl: databases['mail-api'], smtpUrl, forgets })
    await this.#startService('mail-api')
  }

  async #startWorker(databases: DatabaseUrls): Promise<void> {
    const { prefix } = this.#options
    const { brokers } = this
    this.#configs.set('mail-worker', {
      name: 'worker-1',
      brokers,
      databaseUrl: databases['mail-worker'],
      prefix,
      mailApiUrl: this.urlOf('mail-api'),
    })
    await this.#startService('mail-worker')
  }

  async #startCoupon(databases: DatabaseUrls): Promise<void> {
    const { prefix, port } = this.#options
    const { brokers } = this
    this.#configs.set('coupon', { port, databaseUrl: databases.coupon, brokers, prefix })
    await this.#startService('coupon')
  }

  /** @param facts of the process before, whose port it takes up again */
  async #startService(service: Service, facts: unknown = {}): Promise<void> {
    const again = (before: unknown): unknown => ({ ...this.#configs.get(service)!, ...portOf(before) })
    const child = this.#child(service, entries[service], again(facts), true, {
      restartConfig: again,
      onRestart: () => void this.#away.delete(service),
    })
    this.#services.set(service, child)
    await child.start()
  }

  #child(name: string, entry: URL, config: unknown, restart: boolean, more = {}): SupervisedChild {
    const { log } = this.#options
    return new SupervisedChild({ name, entry, config, ...more }, { restart, onChange: () => {}, log })
  }
}

function portOf(facts: unknown): Partial<ServiceFacts> {
  const { port } = facts as Partial<ServiceFacts>
  return port === undefined ? {} : { port }
}
