/**
 * How a requester ends:
 *
 *   open ──close()──▶ draining ──nothing left, or its bound──▶ drained: the rest is abandoned ──▶ routing ──▶ transport
 */
import { MilenaError } from '../errors.ts'
import { closeTimeout } from '../given.ts'
import type { OpenedTransport } from '../transport/open.ts'
import { errorOf } from '../words.ts'
import type { OneWay } from './one-way.ts'
import type { RequesterSettings } from './options.ts'
import type { PendingReplies } from './pending-replies.ts'
import type { Preparing } from './preparing.ts'
import type { Receiving } from './receiving.ts'
import type { Warnings } from '../warnings.ts'

/** Milliseconds that giving back the reply address may take: brokers that do not answer must not hold up `close()`. */
const routingCloseLimit = 5_000

export interface ClosingOptions {
  readonly settings: Pick<RequesterSettings, 'clock' | 'drainTimeout' | 'instanceId'>
  readonly preparing: Preparing
  readonly pending: PendingReplies
  readonly oneWay: OneWay
  readonly receiving: Receiving
  readonly opened: OpenedTransport
  readonly warnings: Warnings
  /** @param timeout milliseconds that are left */
  closeJournal(timeout: number): Promise<void>
  closeRouting(): Promise<void>
}

export class Closing {
  readonly #options: ClosingOptions
  #closed: Promise<void> | undefined

  constructor(options: ClosingOptions) {
    this.#options = options
  }

  get begun(): boolean {
    return this.#closed !== undefined
  }

  error(): MilenaError {
    return new MilenaError('MILENA_CLOSED', `requester ${this.#options.settings.instanceId} is closed`)
  }

  /** @throws OptionsError */
  close(options: unknown): Promise<void> {
    let timeout: number
    try {
      timeout = closeTimeout('requester.close', options, this.#options.settings.drainTimeout)
    } catch (error) {
      return Promise.reject(errorOf(error))
    }
    this.#closed ??= this.#close(timeout)
    return this.#closed
  }

  async #close(timeout: number): Promise<void> {
    const { preparing, pending, oneWay, receiving, opened } = this.#options
    const left = await this.#drain(timeout)
    // What was asked before `close()` and still waits is not accepted any more either.
    preparing.close(() => this.error())
    pending.close()
    oneWay.close()
    receiving.close()
    await this.#options.closeJournal(left)
    const routingClosed = this.#options.closeRouting()
    try {
      await this.#awaitRouting(routingClosed)
    } finally {
      if (opened.owned) {
        await opened.transport.close()
        // What the routing was still trying has been ended by that.
        await routingClosed
      }
      this.#options.warnings.close()
    }
  }

  /** What was asked before `close()` counts, also while it waits for its topic: it is pending as soon as that is known. */
  async #drain(timeout: number): Promise<number> {
    const { settings, preparing, pending, oneWay } = this.#options
    const until = settings.clock.monotonic() + timeout
    const left = (): number => until - settings.clock.monotonic()
    do {
      await preparing.drain(left())
      await pending.drain(left())
      await oneWay.drain(left())
    } while (pending.size + oneWay.size > 0 && left() > 0)
    return Math.max(0, left())
  }

  #awaitRouting(closed: Promise<void>): Promise<void> {
    const { settings, warnings } = this.#options
    return new Promise((resolve, reject) => {
      const timer = settings.clock.schedule(routingCloseLimit, () => {
        warnings.tell('the brokers did not answer in time: the reply address was not given back')
        resolve()
      })
      void closed.then(resolve, reject).finally(() => timer.cancel())
    })
  }
}
