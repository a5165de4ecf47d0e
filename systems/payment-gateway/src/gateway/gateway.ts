/**
 * What a gateway does: writes a payment down, asks a worker for it over Kafka, writes the outcome down, answers.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import {
  MilenaError,
  RemoteError,
  TimeoutError,
  type LateReply,
  type Recovered,
  type Reply,
  type Requester,
} from '@milena/request-reply'
import type { Pool } from 'pg'
import type { ApproveRequest, Method, Operations, ProviderOutcome, RefundRequest } from '../operations.ts'
import { isUndone, messageOf } from '@milena/hosting'
import { type Asked, isSilence, mismatchOf, outcomeOf } from './outcomes.ts'
import { InHand, NotKnown, NotNow, Turns } from './in-hand.ts'
import type { NewPayment, PaymentStore } from './payment-store.ts'
import type { Outcome, Payment } from './payment.ts'
import type { Reconciler } from './reconciler.ts'
import { openRefund, type OpenedRefund } from './refund-opening.ts'

export interface GatewayOptions {
  readonly pool: Pool
  readonly store: PaymentStore
  readonly requester: Requester
  readonly operations: Operations
  readonly reconciler: Reconciler
  /** This gateway's name. */
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
  /** Why the reply that came to this call is not about this payment, if so. */
  readonly mismatch?: string | undefined
  /** The worker's error, when it is one that leaves the payment unknown. */
  readonly workerError?: RemoteError | undefined
}

/** What came for a payment that nobody waits for any more. */
interface Came {
  readonly error: MilenaError | undefined
  readonly event: 'late-reply' | 'recovered'
  readonly roundTripMs?: number
}

/** Milliseconds between looks at a payment that another call, perhaps at another gateway, is waiting for. */
const lookAgain = 100
/** Milliseconds between questions what became of it, for that other gateway may be dead, and that they go on beyond the timeout. */
const askAgain = 1_000
const patience = 5_000

export class Gateway {
  readonly #options: GatewayOptions
  readonly #inHand: InHand
  /** Refunds of an order are written down one by one. */
  readonly #refunding = new Turns()
  #mismatched = 0
  #late = 0

  constructor(options: GatewayOptions) {
    this.#options = options
    this.#inHand = new InHand(options.maxPending)
  }

  get inHand(): number {
    return this.#inHand.size
  }

  /** Replies that were about another payment than was asked for. */
  get mismatched(): number {
    return this.#mismatched
  }

  /** Replies about payments that came after their caller was answered. */
  get late(): number {
    return this.#late
  }

  /** Charges an order once. The same order again gives the first outcome; `undefined`: it has other content. */
  async charge({ orderId, amount, method }: Order): Promise<Answered | undefined> {
    return this.#inHand.share(orderId, `charge ${orderId} ${amount} ${method}`, async () => {
      const { store, owner, timeout } = this.#options
      const expiresAt = new Date(Date.now() + timeout)
      const charge: NewPayment = { kind: 'charge', id: orderId, orderId, amount, method, owner, expiresAt }
      if (await this.#writeDown(charge)) return this.#send(charge)
      const first = await store.find(charge)
      if (first === undefined) throw new NotNow('no request for this order could be sent in time')
      return first.amount === amount && first.method === method ? this.#awaitOutcome(first) : undefined
    })
  }

  /** False: it is there already, or its time was over before it could be. */
  async #writeDown(charge: NewPayment): Promise<boolean> {
    try {
      return await this.#options.store.insert(charge)
    } catch (cause) {
      throw unwritten('payment', cause)
    }
  }

  /** Refunds (part of) an order once for each refund id. */
  async refund(
    orderId: string,
    refundId: string,
    amount: number | undefined,
  ): Promise<Answered | Exclude<OpenedRefund, { refund: Payment }>> {
    return this.#inHand.share(orderId, `refund ${refundId} ${amount}`, async () => {
      const opened = await this.#refunding.take(orderId, () => this.#openRefund(orderId, refundId, amount))
      if (opened.result === 'exists') return this.#awaitOutcome(opened.refund)
      if (opened.result !== 'opened') return opened
      return this.#send(opened.refund)
    })
  }

  async #openRefund(orderId: string, refundId: string, amount: number | undefined): Promise<OpenedRefund> {
    const { pool, store, owner, timeout } = this.#options
    const expiresAt = new Date(Date.now() + timeout)
    try {
      return await openRefund(pool, store, { orderId, refundId, amount, owner, expiresAt })
    } catch (cause) {
      throw cause instanceof NotNow ? cause : unwritten('refund', cause)
    }
  }

  /** A reply that came after its caller was answered. */
  async takeLateReply(late: LateReply): Promise<void> {
    const { operations } = this.#options
    const came = { error: late.error, event: 'late-reply', roundTripMs: Math.round(late.roundTrip) } as const
    if (late.of(operations.refund)) await this.#take(askedRefund(late.request), late.reply?.value, came)
    else if (late.of(operations.approve)) await this.#take(askedCharge(late.request), late.reply?.value, came)
  }

  /** What a process of this name had accepted when it was killed. */
  async takeRecovered(recovered: Recovered): Promise<void> {
    const { operations } = this.#options
    const came = { error: recovered.error, event: 'recovered' } as const
    if (recovered.of(operations.refund))
      await this.#take(askedRefund(recovered.request!), recovered.reply?.value, came)
    else if (recovered.of(operations.approve))
      await this.#take(askedCharge(recovered.request!), recovered.reply?.value, came)
  }

  /** It settles the payment, and is in its history in any case. */
  async #take(asked: Asked, told: ProviderOutcome | undefined, came: Came): Promise<void> {
    const { store, owner } = this.#options
    const { error, event, roundTripMs } = came
    if (event === 'late-reply') this.#late++
    if (error instanceof TimeoutError)
      return void (await store.markUnknown(asked, { gateway: owner, reason: error.message }))
    const mismatch = told && this.#mismatchOf(told, asked)
    if (mismatch !== undefined) await store.markUnknown(asked, { gateway: owner, reason: mismatch })
    const outcome = told === undefined || mismatch !== undefined ? undefined : outcomeOf(told)
    const code = error instanceof RemoteError ? error.remoteCode : error?.code
    const details = { roundTripMs, worker: told?.worker, error: code, mismatch }
    const settled = outcome && (await store.settle(asked, outcome, event, details))
    if (settled !== true) await store.addEvent(asked, event, { ...details, status: outcome?.state })
  }

  /** Waits until nothing is in hand, for a bounded time. */
  async drain(): Promise<void> {
    const until = Date.now() + this.#options.timeout + patience
    while (this.inHand > 0 && Date.now() < until) await sleep(20)
  }

  async #send(payment: NewPayment): Promise<Answered> {
    try {
      return await this.#sendAndSettle(payment)
    } catch (error) {
      if (error instanceof NotNow) throw error
      // The database was lost while the payment was on its way. It is still written down as pending, so it comes due, and
      // some gateway finds out.
      console.error(
        `${payment.kind} ${payment.id}: the outcome could not be written down: ${messageOf(error)}`,
      )
      return { payment: { ...payment, state: 'unknown', approvalId: null, reason: null } }
    }
  }

  /** The same request, byte for byte, whoever sends it. */
  #request({ kind, id, orderId, amount, method, expiresAt }: NewPayment): Promise<Reply<ProviderOutcome>> {
    const { requester, operations } = this.#options
    const timeout = Math.max(1, expiresAt.getTime() - Date.now())
    const request = { orderId, amount, method, expiresAt: expiresAt.getTime() }
    return kind === 'charge'
      ? requester.request(operations.approve, request, { timeout })
      : requester.request(operations.refund, { ...request, refundId: id }, { timeout })
  }

  async #sendAndSettle(payment: NewPayment): Promise<Answered> {
    const { store, owner } = this.#options
    let outcome: Outcome | undefined
    let mismatch: string | undefined
    let settled = false
    let providerMs: number | undefined
    let workerError: RemoteError | undefined
    try {
      const { value } = await this.#request(payment)
      providerMs = value.providerMs
      mismatch = this.#mismatchOf(value, payment)
      if (mismatch === undefined) {
        outcome = outcomeOf(value)
        settled = await store.settle(payment, outcome, 'reply', { gateway: owner, worker: value.worker })
      } else await store.markUnknown(payment, { gateway: owner, reason: mismatch })
    } catch (error) {
      if (error instanceof MilenaError && error.sent === 'no' && error.effect === 'none') {
        await store.forget(payment, owner)
        throw new NotNow(error.message, { cause: error })
      }
      if (error instanceof RemoteError && !isSilence(error)) workerError = error
      // Whatever else happened, a payment that is still pending here has an outcome that nobody knows.
      if (!settled) await store.markUnknown(payment, { gateway: owner, reason: messageOf(error) })
    }
    if (settled && outcome !== undefined) return { payment: settledAs(payment, outcome), providerMs }
    // A late reply or another gateway may have been faster than we were: then theirs is the outcome.
    return { payment: (await store.find(payment))!, providerMs, workerError, mismatch }
  }

  #mismatchOf(told: ProviderOutcome, asked: Asked): string | undefined {
    const mismatch = mismatchOf(told, asked)
    if (mismatch === undefined) return undefined
    this.#mismatched++
    console.error(`${asked.kind} ${asked.id}: ${mismatch}; the provider is asked`)
    return mismatch
  }

  /**
   * Another call is waiting for it already, perhaps at another gateway, which may be dead. So after a while the workers are
   * asked for it again: under its idempotency key it is done once, whoever asks, and whether or not that was sent.
   */
  async #awaitOutcome(first: Payment): Promise<Answered> {
    const { store, timeout, reconciler } = this.#options
    const until = Date.now() + timeout + patience
    let payment = first
    let asked = Date.now()
    while (payment.state === 'pending' && Date.now() < until) {
      await sleep(lookAgain)
      if (Date.now() - asked >= askAgain) {
        if (Date.now() < payment.expiresAt.getTime()) return this.#send(payment)
        await reconciler.reconcile(payment).catch(() => {})
        asked = Date.now()
      }
      const now = await store.find(payment)
      if (now === undefined) throw new NotNow('no request for this payment could be sent in time')
      payment = now
    }
    return { payment }
  }
}

function askedCharge({ orderId, amount }: ApproveRequest): Asked {
  return { kind: 'charge', id: orderId, orderId, amount }
}

function askedRefund({ orderId, refundId, amount }: RefundRequest): Asked {
  return { kind: 'refund', id: refundId, orderId, amount }
}

/** Until a payment is written down nothing has begun; a database that does not answer may have written it down, or may yet. */
function unwritten(what: string, cause: unknown): NotNow | NotKnown {
  return isUndone(cause)
    ? new NotNow(`the ${what} could not be written down`, { cause })
    : new NotKnown(`the database does not say whether the ${what} is written down`, { cause })
}

function settledAs(payment: NewPayment, outcome: Outcome): Answered['payment'] {
  const { state, approvalId, reason } = outcome
  return { ...payment, state, approvalId: approvalId ?? null, reason: reason ?? null }
}
