/**
 * What a gateway does: writes a payment down, asks a worker for it over Kafka, writes the outcome down, answers.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { MilenaError, RemoteError, type LateReply, type Requester } from '@milena/request-reply'
import type { Pool } from 'pg'
import { workerErrors, type Method, type Operations, type ProviderOutcome } from '../operations.ts'
import { messageOf } from '@milena/hosting'
import type { NewPayment, PaymentStore } from './payment-store.ts'
import type { Outcome, Payment, PaymentId } from './payment.ts'
import { openRefund, type OpenedRefund } from './refund-opening.ts'

export interface GatewayOptions {
  readonly pool: Pool
  readonly store: PaymentStore
  readonly requester: Requester
  readonly operations: Operations
  /** This process's own; see `Lease`. */
  readonly owner: string
  /** Milliseconds that a caller waits for the outcome. */
  readonly timeout: number
  /** The most payments in hand; one more is refused before anything is written down. */
  readonly maxPending: number
}

export interface Order {
  readonly orderId: string
  readonly amount: number
  readonly method: Method
}

/** How a payment stands, and what its caller is to be told beside it. */
export interface Answered {
  readonly payment: Pick<Payment, 'kind' | 'id' | 'orderId' | 'amount' | 'state' | 'approvalId' | 'reason'>
  /** Milliseconds that the provider took, when its reply came to this call. */
  readonly providerMs?: number | undefined
  /** The worker's error, when it is one that leaves the payment unknown. */
  readonly workerError?: RemoteError | undefined
}

/** The gateway cannot take the payment now, and nothing was begun: the caller may try again. */
export class NotNow extends Error {}

/** Milliseconds between looks at a payment that another call, perhaps at another gateway, is waiting for. */
const lookAgain = 100
/** Milliseconds that such a look goes on beyond the timeout: time in which a dead gateway is noticed. */
const patience = 5_000

export class Gateway {
  readonly #options: GatewayOptions
  #inHand = 0

  constructor(options: GatewayOptions) {
    this.#options = options
  }

  get inHand(): number {
    return this.#inHand
  }

  /** Charges an order once. The same order again gives the first outcome; `undefined`: it has other content. */
  async charge({ orderId, amount, method }: Order): Promise<Answered | undefined> {
    return this.#counted(async () => {
      const { store, owner, timeout } = this.#options
      const expiresAt = new Date(Date.now() + timeout)
      const charge: NewPayment = { kind: 'charge', id: orderId, orderId, amount, method, owner, expiresAt }
      if (await this.#writeDown(charge)) {
        const request = { orderId, amount, method, expiresAt: expiresAt.getTime() }
        return this.#send(charge, () =>
          this.#options.requester.request(this.#options.operations.approve, request, { timeout }),
        )
      }
      const first = await store.find(charge)
      if (first === undefined) throw new NotNow('the first request for this order could not be sent')
      return first.amount === amount && first.method === method ? this.#awaitOutcome(first) : undefined
    })
  }

  /** Until a payment is written down nothing has begun. */
  async #writeDown(charge: NewPayment): Promise<boolean> {
    try {
      return await this.#options.store.insert(charge)
    } catch (cause) {
      throw new NotNow('the payment could not be written down', { cause })
    }
  }

  /** Refunds (part of) an order once for each refund id. */
  async refund(
    orderId: string,
    refundId: string,
    amount: number | undefined,
  ): Promise<Answered | Exclude<OpenedRefund, { refund: Payment }>> {
    return this.#counted(async () => {
      const { pool, store, owner, timeout, requester, operations } = this.#options
      const expiresAt = new Date(Date.now() + timeout)
      const opened = await openRefund(pool, store, { orderId, refundId, amount, owner, expiresAt })
      if (opened.result === 'exists') return this.#awaitOutcome(opened.refund)
      if (opened.result !== 'opened') return opened
      const { refund } = opened
      const request = {
        orderId,
        refundId,
        amount: refund.amount,
        method: refund.method,
        expiresAt: expiresAt.getTime(),
      }
      return this.#send(refund, () => requester.request(operations.refund, request, { timeout }))
    })
  }

  /** A reply that came after its caller was answered: it settles the payment, and is in its history in any case. */
  async takeLateReply(late: LateReply): Promise<void> {
    const { store, operations } = this.#options
    let id: PaymentId
    let told: ProviderOutcome | undefined
    if (late.of(operations.refund)) {
      id = { kind: 'refund', id: late.request.refundId }
      told = late.reply?.value
    } else if (late.of(operations.approve)) {
      id = { kind: 'charge', id: late.request.orderId }
      told = late.reply?.value
    } else {
      return // no other operation is asked
    }
    const { error, roundTrip } = late
    const outcome = told === undefined ? outcomeOfError(error) : outcomeOf(told)
    const details = {
      roundTripMs: Math.round(roundTrip),
      worker: told?.worker,
      error: error instanceof RemoteError ? error.remoteCode : error?.code,
    }
    const settled = outcome && (await store.settle(id, outcome, 'late-reply', details))
    if (settled !== true) await store.addEvent(id, 'late-reply', { ...details, status: outcome?.state })
  }

  /** Waits until nothing is in hand, for a bounded time. */
  async drain(): Promise<void> {
    const until = Date.now() + this.#options.timeout + patience
    while (this.#inHand > 0 && Date.now() < until) await sleep(20)
  }

  async #counted<Result>(work: () => Promise<Result>): Promise<Result> {
    const { maxPending } = this.#options
    if (this.#inHand >= maxPending) throw new NotNow(`${maxPending} payments are in hand already`)
    this.#inHand++
    try {
      return await work()
    } finally {
      this.#inHand--
    }
  }

  async #send(
    payment: NewPayment | Payment,
    request: () => Promise<{ value: ProviderOutcome }>,
  ): Promise<Answered> {
    try {
      return await this.#sendAndSettle(payment, request)
    } catch (error) {
      if (error instanceof NotNow) throw error
      // The database was lost while the payment was on its way. It is still written down as pending, so some gateway
      // will find it too old and ask the provider.
      console.error(
        `${payment.kind} ${payment.id}: the outcome could not be written down: ${messageOf(error)}`,
      )
      return { payment: { ...payment, state: 'unknown', approvalId: null, reason: null } }
    }
  }

  async #sendAndSettle(
    payment: NewPayment | Payment,
    request: () => Promise<{ value: ProviderOutcome }>,
  ): Promise<Answered> {
    const { store, owner } = this.#options
    let outcome: Outcome | undefined
    let settled = false
    let providerMs: number | undefined
    let workerError: RemoteError | undefined
    try {
      const { value } = await request()
      providerMs = value.providerMs
      outcome = outcomeOf(value)
      settled = await store.settle(payment, outcome, 'reply', {
        gateway: owner,
        worker: value.worker,
      })
    } catch (error) {
      if (error instanceof MilenaError && error.sent === 'no' && error.effect === 'none') {
        await store.forget(payment, owner)
        throw new NotNow(error.message, { cause: error })
      }
      if (error instanceof RemoteError) {
        outcome = outcomeOfError(error)
        if (outcome !== undefined)
          settled = await store.settle(payment, outcome, 'worker-error', { gateway: owner })
        else if (!isSilence(error)) workerError = error
      }
      // Whatever else happened, a payment that is still pending here has an outcome that nobody knows.
      if (!settled) await store.markUnknown(payment, { gateway: owner, reason: messageOf(error) })
    }
    if (settled && outcome !== undefined)
      return { payment: settledAs(payment, outcome), providerMs, workerError }
    // A late reply or another gateway may have been faster than we were: then theirs is the outcome.
    return { payment: (await store.find(payment))!, providerMs, workerError }
  }

  async #awaitOutcome(first: Payment): Promise<Answered> {
    const { store, timeout } = this.#options
    const until = Date.now() + timeout + patience
    let payment = first
    while (payment.state === 'pending' && Date.now() < until) {
      await sleep(lookAgain)
      const now = await store.find(payment)
      if (now === undefined) throw new NotNow('the first request for this payment could not be sent')
      payment = now
    }
    return { payment }
  }
}

function settledAs(payment: NewPayment | Payment, outcome: Outcome): Answered['payment'] {
  const { state, approvalId, reason } = outcome
  return { ...payment, state, approvalId: approvalId ?? null, reason: reason ?? null }
}

function outcomeOf(told: ProviderOutcome): Outcome {
  return told.status === 'approved'
    ? { state: 'approved', approvalId: told.approvalId }
    : { state: 'declined', reason: told.reason }
}

/** Only the provider's own failure is an outcome: see `workerErrors`. */
function outcomeOfError(error: MilenaError | undefined): Outcome | undefined {
  if (!(error instanceof RemoteError) || error.remoteCode !== workerErrors.providerFailed) return undefined
  return { state: 'failed', reason: error.remoteMessage }
}

/** Errors that say no more than a timeout does. */
function isSilence(error: RemoteError): boolean {
  const silent: readonly string[] = [
    workerErrors.providerSilent,
    workerErrors.providerUnreachable,
    workerErrors.paymentExpired,
    'MILENA_DEADLINE_EXCEEDED',
  ]
  return silent.includes(error.remoteCode)
}
