/**
 * The whole system: what is started, in which order, and with what. Each is a process of its own.
 *
 *   broker, database ─▶ topics, databases, tables ─▶ mailbox ─▶ Mail API ─▶ mail worker, coupon service
 */
import {
  allSettled,
  Foundation,
  Services,
  StartError,
  SupervisedChild,
  type ServiceFacts,
  type Surroundings,
} from '@milena/hosting'
import type { CouponConfig } from './coupon/main.ts'
import { openDatabases, type DatabaseUrls } from './databases.ts'
import type { MailApiConfig } from './mail-api/main.ts'
import type { MailboxConfig, MailboxFacts } from './mailbox/main.ts'
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
  readonly #services: Services<Service>
  #mailbox: SupervisedChild | undefined
  #databases: DatabaseUrls | undefined

  constructor(options: SystemOptions) {
    this.#options = options
    this.#foundation = new Foundation('coupons', options.log)
    this.#services = new Services(options.log)
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
    return this.#services.urlOf(service)
  }

  /** Whether it was ready, and was not killed since. */
  isUp(service: Service): boolean {
    return this.#services.isUp(service)
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
    for (const service of services)
      // oxlint-disable-next-line no-await-in-loop -- each after those that need it
      await this.#services.stop([service])
    await this.#mailbox?.stop()
    await this.#foundation.close()
  }

  async #startMailbox(): Promise<string> {
    const { mailbox: config, log } = this.#options
    const spec = { name: 'mailbox', entry: entries.mailbox, config }
    this.#mailbox = new SupervisedChild(spec, { restart: false, onChange: () => {}, log })
    await this.#mailbox.start()
    return (this.#mailbox.facts as MailboxFacts).smtpUrl
  }

  #startMailApi(databases: DatabaseUrls, smtpUrl: string): Promise<void> {
    const forgets = this.#options.apiForgets
    const config: MailApiConfig = { port: 0, databaseUrl: databases['mail-api'], smtpUrl, forgets }
    return this.#services.start('mail-api', { entry: entries['mail-api'], config: () => config })
  }

  #startWorker(databases: DatabaseUrls): Promise<void> {
    const config: WorkerConfig = {
      name: 'worker-1',
      brokers: this.brokers,
      databaseUrl: databases['mail-worker'],
      prefix: this.#options.prefix,
      mailApiUrl: this.urlOf('mail-api'),
    }
    return this.#services.start('mail-worker', { entry: entries['mail-worker'], config: () => config })
  }

  #startCoupon(databases: DatabaseUrls): Promise<void> {
    const { prefix, port } = this.#options
    const config: CouponConfig = { port, databaseUrl: databases.coupon, brokers: this.brokers, prefix }
    return this.#services.start('coupon', { entry: entries.coupon, config: () => config })
  }
}
