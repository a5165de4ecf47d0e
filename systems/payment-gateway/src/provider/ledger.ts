/**
 * The provider's books.
 *
 *                perform()                        the work is done
 *   (unheard of) ─────────▶ processing ─────────────────────────────▶ approved | declined | failed
 *        │ after `expiresAt`
 *        ▼
 *     refused (nothing recorded; nothing with this deadline can begin any more)
 *
 * The first outcome under an idempotency key is final, an error included, and is given again to every call with this
 * key; a call that comes while the first is at work waits for it. Without a key, or with another, the same order is
 * charged again, as real providers do: not to let that happen is the caller's part.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Behaviour } from './behaviour.ts'
import { Journal } from './journal.ts'

export type MovementKind = 'charge' | 'refund'
export type MovementStatus = 'processing' | 'approved' | 'declined' | 'failed'

export interface MovementRequest {
  readonly kind: MovementKind
  readonly orderId: string
  /** The caller's name for a refund, by which it can be asked for. */
  readonly refundId?: string | undefined
  readonly amount: number
  /** Milliseconds since the Unix epoch, by the provider's clock: after it the work is not begun. */
  readonly expiresAt?: number | undefined
}

export interface Movement {
  readonly kind: MovementKind
  readonly orderId: string
  readonly refundId: string | undefined
  readonly amount: number
  readonly key: string | undefined
  status: MovementStatus
  approvalId: string | undefined
  reason: string | undefined
  /** How many calls asked for it. */
  attempts: number
  /** When it was settled, in milliseconds since the Unix epoch. */
  at: number
}

export type Performed =
  | { readonly result: 'settled'; readonly movement: Movement; readonly replayed: boolean }
  | { readonly result: 'expired' }
  /** The key was used before, for something else. */
  | { readonly result: 'key-reused' }

export class Ledger {
  behaviour: Behaviour
  readonly #movements: Movement[] = []
  readonly #byKey = new Map<string, Movement>()
  readonly #byOrder = new Map<string, Movement[]>()
  readonly #working = new Map<Movement, Promise<void>>()
  readonly #journal: Journal<Movement>

  constructor(behaviour: Behaviour, file?: string) {
    this.behaviour = behaviour
    this.#journal = new Journal(file)
    for (const movement of this.#journal.read()) this.#record(movement)
  }

  async perform(request: MovementRequest, key: string | undefined): Promise<Performed> {
    const known = key === undefined ? undefined : this.#byKey.get(key)
    if (known !== undefined) {
      if (!isSame(known, request)) return { result: 'key-reused' }
      known.attempts++
      await this.#working.get(known)
      return { result: 'settled', movement: known, replayed: true }
    }
    if (request.expiresAt !== undefined && Date.now() > request.expiresAt) return { result: 'expired' }
    const movement: Movement = {
      kind: request.kind,
      orderId: request.orderId,
      refundId: request.refundId,
      amount: request.amount,
      key,
      status: 'processing',
      approvalId: undefined,
      reason: undefined,
      attempts: 1,
      at: Date.now(),
    }
    // Recorded before the first await: from here on whoever asks is told that it is at work.
    this.#record(movement)
    const work = this.#work(movement)
    this.#working.set(movement, work)
    await work
    return { result: 'settled', movement, replayed: false }
  }

  /** The charge of an order, the latest if there are several, with its refunds. */
  find(orderId: string): { charge: Movement; refunds: Movement[] } | undefined {
    const movements = this.#byOrder.get(orderId) ?? []
    const charge = movements.findLast((movement) => movement.kind === 'charge')
    return charge && { charge, refunds: movements.filter((movement) => movement.kind === 'refund') }
  }

  /** What was really charged and refunded, in the order in which it was settled. */
  approved(): Movement[] {
    return this.#movements
      .filter((movement) => movement.status === 'approved')
      .toSorted((a, b) => a.at - b.at)
  }

  #record(movement: Movement): void {
    this.#movements.push(movement)
    if (movement.key !== undefined) this.#byKey.set(movement.key, movement)
    const ofOrder = this.#byOrder.get(movement.orderId)
    if (ofOrder === undefined) this.#byOrder.set(movement.orderId, [movement])
    else ofOrder.push(movement)
  }

  async #work(movement: Movement): Promise<void> {
    const { delayMs, jitterMs, failRate, declineRate } = this.behaviour
    const chance = Math.random()
    await sleep(delayMs + Math.random() * jitterMs)
    const refusal = movement.kind === 'refund' ? this.#refusalOf(movement) : undefined
    if (chance < failRate) settle(movement, 'failed', 'the provider had an internal error; nothing was moved')
    else if (refusal !== undefined) settle(movement, 'declined', refusal)
    else if (chance < failRate + declineRate) settle(movement, 'declined', 'insufficient funds')
    else {
      settle(movement, 'approved', undefined)
      movement.approvalId = randomUUID()
    }
    this.#journal.append(movement)
    this.#working.delete(movement)
  }

  /** Why a refund cannot be, if so. Nothing is awaited between this and its settling, so two cannot both fit. */
  #refusalOf(refund: Movement): string | undefined {
    const approved = (this.#byOrder.get(refund.orderId) ?? []).filter(({ status }) => status === 'approved')
    const sum = (kind: MovementKind) =>
      approved.filter((movement) => movement.kind === kind).reduce((total, { amount }) => total + amount, 0)
    return refund.amount > sum('charge') - sum('refund')
      ? 'more than was charged and not yet refunded'
      : undefined
  }
}

function settle(movement: Movement, status: MovementStatus, reason: string | undefined): void {
  movement.status = status
  movement.reason = reason
  movement.at = Date.now()
}

function isSame(movement: Movement, request: MovementRequest): boolean {
  return (
    movement.kind === request.kind &&
    movement.orderId === request.orderId &&
    movement.refundId === request.refundId &&
    movement.amount === request.amount
  )
}
