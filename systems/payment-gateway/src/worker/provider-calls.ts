/**
 * Charging and refunding at the provider.
 *
 * Every call for one payment carries the same idempotency key, so a call may be repeated, here or by another worker
 * that gets the same request again, and the money moves once.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ReplyError } from '@milena/request-reply'
import { type HttpAnswer, HttpTimeout, type JsonClient, messageOf } from '@milena/hosting'
import { workerErrors, type ApproveRequest, type ProviderOutcome, type RefundRequest } from '../operations.ts'

/**
 * Milliseconds beyond the payment's deadline that an answer is waited for. The gateway's caller was answered long
 * before; what comes now is a late reply, which settles the payment sooner than asking does. All the while repeats of
 * this payment wait behind it, so it is short.
 */
const grace = 2_000
/** Milliseconds between repeated calls: at first, and at most. */
const pause = { first: 100, most: 1_000 }

/** What is moved, as the reply says it again. */
interface Movement {
  readonly orderId: string
  readonly refundId?: string
  readonly amount: number
}

export class ProviderCalls {
  readonly #client: JsonClient
  readonly #worker: string

  constructor(client: JsonClient, worker: string) {
    this.#client = client
    this.#worker = worker
  }

  charge({ orderId, amount, method, expiresAt }: ApproveRequest): Promise<ProviderOutcome> {
    return this.#move('/charges', `charge:${orderId}`, { orderId, amount }, { method, expiresAt })
  }

  refund({ orderId, refundId, amount, expiresAt }: RefundRequest): Promise<ProviderOutcome> {
    return this.#move('/refunds', `refund:${refundId}`, { orderId, refundId, amount }, { expiresAt })
  }

  async #move(
    path: string,
    key: string,
    what: Movement,
    how: { readonly expiresAt: number; readonly method?: string },
  ): Promise<ProviderOutcome> {
    const { expiresAt } = how
    for (let wait = pause.first; ; wait = Math.min(wait * 2, pause.most)) {
      let trouble: string
      try {
        const timeout = Math.max(1, expiresAt + grace - Date.now())
        const answer = await this.#client.call({
          method: 'POST',
          path,
          body: { ...what, ...how },
          headers: { 'idempotency-key': key },
          timeout,
        })
        const outcome = this.#read(answer, what)
        if (outcome !== undefined) return outcome
        trouble = `it answered ${answer.status}`
      } catch (error) {
        if (error instanceof ReplyError) throw error
        if (error instanceof HttpTimeout)
          throw new ReplyError(workerErrors.providerSilent, error.message, { retryable: true })
        trouble = messageOf(error)
      }
      // Beyond the deadline the provider would begin nothing.
      if (Date.now() + wait > expiresAt) {
        throw new ReplyError(workerErrors.providerUnreachable, `the provider cannot be reached: ${trouble}`, {
          retryable: true,
        })
      }
      await sleep(wait)
    }
  }

  /** The outcome, or `undefined` when the call should be repeated. */
  #read({ status, body }: HttpAnswer, what: Movement): ProviderOutcome | undefined {
    const { approvalId, reason, tookMs, title } = (body ?? {}) as Record<string, unknown>
    const told = { providerMs: Number(tookMs), worker: this.#worker, ...what }
    if (status === 200) return { status: 'approved', approvalId: String(approvalId), ...told }
    if (status === 402) return { status: 'declined', reason: String(reason), ...told }
    if (status === 500) return { status: 'failed', reason: String(reason ?? title), ...told }
    if (status === 410) throw new ReplyError(workerErrors.paymentExpired, String(title))
    if (status === 429 || status > 500) return undefined
    throw new ReplyError(workerErrors.providerRefused, `the provider answered ${status}: ${String(title)}`)
  }
}
