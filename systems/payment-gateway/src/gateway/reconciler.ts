/**
 * Settles payments whose outcome their caller was not told: by what the workers have stored of them, and where a worker
 * itself does not know, by what the provider says. Every gateway does so with a few at a time, and at once for whoever asks.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Operation, Requester } from '@milena/request-reply'
import { type JsonClient, messageOf } from '@milena/hosting'
import type { Operations, ProviderOutcome } from '../operations.ts'
import { mismatchOf, outcomeOf } from './outcomes.ts'
import type { PaymentStore } from './payment-store.ts'
import type { Outcome, Payment } from './payment.ts'
import { askProvider } from './provider-questions.ts'

export interface ReconcilerOptions {
  readonly store: PaymentStore
  readonly requester: Requester
  readonly operations: Operations
  readonly provider: JsonClient
}

/** Milliseconds between looks, and that the workers have to say what they have stored. */
const interval = 300
const patience = 1_000
/** Payments that are being asked for at once. */
const mostAsked = 128

export class Reconciler {
  readonly #options: ReconcilerOptions
  readonly #stop = new AbortController()
  #running: Promise<void> = Promise.resolve()
  #trouble = ''
  readonly #asking = new Map<string, Promise<void>>()

  constructor(options: ReconcilerOptions) {
    this.#options = options
  }

  start(): void {
    this.#running = this.#run()
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  /**
   * Settles it if its outcome can be known by now. Rejects when nobody can be asked. However many want to know of one
   * payment, it is asked for once at a time; where too many are being asked for, its turn comes later.
   */
  async reconcile(payment: Payment): Promise<void> {
    const name = `${payment.kind} ${payment.id}`
    const running = this.#asking.get(name)
    if (running !== undefined) return running
    if (this.#asking.size >= mostAsked) return undefined
    const asking = this.#ask(payment).finally(() => this.#asking.delete(name))
    this.#asking.set(name, asking)
    return asking
  }

  async #ask(payment: Payment): Promise<void> {
    const { store, provider } = this.#options
    const stored = await this.#askWorkers(payment)
    if (stored !== undefined) return void (await store.settle(payment, stored, 'reconciled', {}))
    const told = await askProvider(provider, payment)
    if (told !== undefined) await store.settle(payment, told, 'asked-provider', {})
  }

  async #askWorkers(payment: Payment): Promise<Outcome | undefined> {
    const { kind, id } = payment
    const { requester, operations } = this.#options
    const ask = <Request>(operation: Operation<Request, Request, ProviderOutcome, ProviderOutcome>) =>
      requester.outcome(operation, id, { timeout: patience }).catch(() => undefined)
    const found = await (kind === 'charge' ? ask(operations.approve) : ask(operations.refund))
    const told = found?.state === 'done' ? found.reply?.value : undefined
    return told !== undefined && mismatchOf(told, payment) === undefined ? outcomeOf(told) : undefined
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      await sleep(interval, undefined, { signal }).catch(() => {})
      if (!signal.aborted) await this.#look()
    }
  }

  async #look(): Promise<void> {
    try {
      const due = await this.#options.store.takeDue()
      const asked = await Promise.allSettled(due.map((payment) => this.reconcile(payment)))
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
}
