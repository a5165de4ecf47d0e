/** Settles unknown payments by asking the provider; every gateway does, each a few at a time. */
import type { Pool } from 'pg'
import { type JsonClient, messageOf } from '@milena/hosting'
import { takeOver } from './leases.ts'
import { paymentColumns, type PaymentStore } from './payment-store.ts'
import type { Payment } from './payment.ts'
import { askProvider } from './provider-questions.ts'

export interface ResolverOptions {
  readonly pool: Pool
  readonly store: PaymentStore
  readonly provider: JsonClient
  /** Seconds after which no gateway can still be waiting for a payment's reply. */
  readonly tooOldSeconds: number
}

/** Milliseconds between looks, and between two questions about one payment. */
const interval = 300
const askAgain = 1_000
/** Payments asked about at once. */
const batch = 32

export class Resolver {
  readonly #options: ResolverOptions
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> = Promise.resolve()
  #trouble = ''

  constructor(options: ResolverOptions) {
    this.#options = options
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#running = this.#look().then(() => {
        if (this.#timer !== undefined) this.start()
      })
    }, interval)
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    await this.#running
  }

  async #look(): Promise<void> {
    const { pool, tooOldSeconds } = this.#options
    try {
      await takeOver(pool, tooOldSeconds)
      const due = await this.#takeDue()
      const asked = await Promise.allSettled(due.map((payment) => this.#ask(payment)))
      const failed = asked.find((result) => result.status === 'rejected')
      if (failed !== undefined) throw failed.reason
      this.#trouble = ''
    } catch (error) {
      // It goes on trying; the same trouble is told once.
      const trouble = messageOf(error)
      if (trouble !== this.#trouble) console.error(`resolving unknown payments: ${trouble}; trying again`)
      this.#trouble = trouble
    }
  }

  /** Those whose turn it is, put off in the same statement, so that no other gateway asks for them now. */
  async #takeDue(): Promise<Payment[]> {
    const { rows } = await this.#options.pool.query<Payment>(
      `update payments set next_ask_at = now() + make_interval(secs => $1) where (kind, id) in (
         select kind, id from payments where state = 'unknown' and next_ask_at <= now()
         order by next_ask_at limit $2 for update skip locked)
       returning ${paymentColumns}`,
      [askAgain / 1000, batch],
    )
    return rows
  }

  async #ask(payment: Payment): Promise<void> {
    const { provider, store } = this.#options
    const outcome = await askProvider(provider, payment)
    if (outcome !== undefined) await store.settle(payment, outcome, 'asked-provider', {})
  }
}
