/**
 * A payment is a charge of an order, or a refund of one. The gateway that accepts it writes it down before it asks
 * for it, and every change of state is one conditional statement in the database:
 *
 *                     reply, if it is about this payment
 *   (none) ──▶ pending ────────▶ approved | declined | failed | mismatched
 *     ▲          │  │                      ▲
 *     │ not sent │  │ timeout, or its      │ late or recovered reply, or what the workers or the provider
 *     └──────────┘  │ gateway died         │ say when they are asked
 *                   └──────▶ unknown ──────┘
 *
 * A reply about another order, refund or amount settles nothing: it makes the payment unknown, and the provider is asked.
 * Where the provider itself has another amount, the payment is `mismatched`: money may have moved, and a person must look.
 *
 * An unknown payment is never sent again. It is settled as `failed` only when the provider has not heard of it and
 * its clock is past `expiresAt`: from then on the provider begins nothing for it, so an order that was reported as
 * failed is never charged afterwards, whichever worker still has the request in hand.
 *
 * Whether a payment was written down is not known when the database does not answer: its caller is told so, and nobody
 * has sent it. The same again finds nothing, and begins, or finds it pending: until `expiresAt` the repeat sends it, and
 * after that it is settled as never charged. Nothing is written down after `expiresAt`.
 */
import type { Method } from '../operations.ts'

export type PaymentKind = 'charge' | 'refund'
export type SettledState = 'approved' | 'declined' | 'failed' | 'mismatched'
export type PaymentState = 'pending' | 'unknown' | SettledState

export interface PaymentId {
  readonly kind: PaymentKind
  /** A charge: the order's id; a refund: the order's id, a slash, and the refund's. */
  readonly id: string
}

export interface Payment extends PaymentId {
  readonly orderId: string
  /** In the currency's smallest unit. */
  readonly amount: number
  readonly method: Method
  readonly state: PaymentState
  /** The gateway process that accepted it. */
  readonly owner: string
  readonly expiresAt: Date
  readonly approvalId: string | null
  readonly reason: string | null
  readonly createdAt: Date
  readonly settledAt: Date | null
}

/** The refund's id as its caller knows it. */
export function refundIdOf({ id, orderId }: Pick<Payment, 'id' | 'orderId'>): string {
  return id.slice(orderId.length + 1)
}

export interface Outcome {
  readonly state: SettledState
  readonly approvalId?: string | undefined
  readonly reason?: string | undefined
}

export interface PaymentEvent {
  /** ISO 8601, as the database writes it. */
  readonly at: string
  readonly event: EventName
  readonly details: Readonly<Record<string, unknown>>
}

/** Kept when nobody knew the outcome; never sent again. */
export interface DeadLetter extends PaymentId {
  readonly orderId: string
  readonly amount: number
  readonly reason: string
  readonly at: Date
  readonly resolvedAt: Date | null
  /** The state that was found out. */
  readonly resolution: SettledState | null
}

/** What can be in a payment's history. */
export type EventName =
  /** Written down; the request goes out. */
  | 'accepted'
  /** The reply came in time. */
  | 'reply'
  /** Nobody knows the outcome: no reply in time, or none that tells it. A dead letter is kept. */
  | 'unknown'
  /** The gateway that was waiting did not say what came of it. A dead letter is kept. */
  | 'gateway-lost'
  /** The reply came after the caller had been answered. */
  | 'late-reply'
  /** The gateway was killed, and its successor received the reply. */
  | 'recovered'
  /** The workers were asked what they have stored. */
  | 'reconciled'
  /** The provider was asked and told the outcome. */
  | 'asked-provider'
