/**
 * The accounts of one service: double-entry, each movement once.
 *
 *     (nothing) ── move ─────▶ done ───── cancel ──▶ cancelled       the money went back
 *         │  └─── move ──────▶ refused ── cancel ──▶ cancelled       it had moved nothing
 *         └────── cancel ──────────────────────────▶ cancelled       a movement that comes later is refused
 *
 * A movement that comes again gets the answer of the first time; one that was cancelled moves nothing any more.
 */
import { inTransaction } from '@milena/hosting'
import type { ClientBase, Pool } from 'pg'
import type { Cancelled, Currency, MovementKind } from '../operations.ts'

export interface Movement {
  readonly exchangeId: string
  readonly kind: MovementKind
  readonly customerId: string
  readonly currency: Currency
  /** In the currency's smallest unit. */
  readonly amount: number
}

export type Moved =
  /** `again`: it was done before, with this content. */
  | { readonly state: 'done'; readonly again: boolean }
  | { readonly state: 'refused'; readonly reason: Refusal }
  /** It was cancelled, before or after it was done. */
  | { readonly state: 'cancelled' }
  /** The exchange has a movement of this kind with another content. */
  | { readonly state: 'conflict' }

export type Refusal = 'INSUFFICIENT_FUNDS' | 'NO_SUCH_ACCOUNT' | 'DEPOSIT_REFUSED'

interface MovementRow {
  readonly state: 'done' | 'refused' | 'cancelled'
  readonly customer_id: string | null
  readonly currency: Currency | null
  readonly amount: number | null
  readonly reason: Refusal | null
}

/** The bank's side of every movement. */
export const bank = 'bank'

export class Ledger {
  readonly #pool: Pool

  constructor(pool: Pool) {
    this.#pool = pool
  }

  /** Opens accounts that do not exist yet, the bank's own included. */
  async open(
    customers: readonly string[],
    currencies: readonly Currency[],
    balance: { readonly customer: number; readonly bank: number },
  ): Promise<void> {
    await this.#pool.query(
      `insert into accounts (owner, currency, opening, balance)
      select owner, currency, amount, amount from unnest($2::text[]) as currency cross join (
        select unnest($1::text[]) as owner, $3::bigint as amount union all select $5, $4::bigint
      ) as owners on conflict do nothing`,
      [customers, currencies, balance.customer, balance.bank, bank],
    )
  }

  /** @param refusal why it is refused, if it is not known yet: it is refused from then on */
  move(movement: Movement, refusal?: Refusal): Promise<Moved> {
    return inTransaction(this.#pool, (tx) => this.#move(tx, movement, refusal))
  }

  /**
   * In a transaction of the caller's.
   *
   * @param tries how often this was tried, kept with it
   */
  async cancel(tx: ClientBase, exchangeId: string, kind: MovementKind, tries = 1): Promise<Cancelled> {
    const { rowCount } = await tx.query(
      `insert into movements (exchange_id, kind, state, cancel_tries) values ($1, $2, 'cancelled', $3)
      on conflict do nothing`,
      [exchangeId, kind, tries],
    )
    if (rowCount === 1) return { exchangeId, outcome: 'nothing' }
    const found = (await this.#lock(tx, exchangeId, kind))!
    if (found.state === 'cancelled') return { exchangeId, outcome: hadMoved(found) ? 'undone' : 'nothing' }
    await tx.query(
      `update movements set state = 'cancelled', cancel_tries = $3 where exchange_id = $1 and kind = $2`,
      [exchangeId, kind, tries],
    )
    if (found.state === 'refused') return { exchangeId, outcome: 'nothing' }
    const movement = {
      exchangeId,
      kind,
      customerId: found.customer_id!,
      currency: found.currency!,
      amount: found.amount!,
    }
    await this.#book(tx, movement, 'cancellation')
    return { exchangeId, outcome: 'undone' }
  }

  async find(exchangeId: string): Promise<readonly (MovementRow & { readonly kind: MovementKind })[]> {
    const { rows } = await this.#pool.query<MovementRow & { kind: MovementKind }>(
      'select kind, state, customer_id, currency, amount, reason from movements where exchange_id = $1 order by kind',
      [exchangeId],
    )
    return rows
  }

  async balances(
    owner: string,
  ): Promise<readonly { readonly currency: Currency; readonly balance: number }[]> {
    const { rows } = await this.#pool.query<{ currency: Currency; balance: number }>(
      'select currency, balance from accounts where owner = $1 order by currency',
      [owner],
    )
    return rows
  }

  async #move(tx: ClientBase, movement: Movement, given?: Refusal): Promise<Moved> {
    const { exchangeId, kind, customerId, currency, amount } = movement
    const { rowCount } = await tx.query(
      `insert into movements (exchange_id, kind, state, customer_id, currency, amount)
      values ($1, $2, 'done', $3, $4, $5) on conflict do nothing`,
      [exchangeId, kind, customerId, currency, amount],
    )
    if (rowCount !== 1) return repeated((await this.#lock(tx, exchangeId, kind))!, movement)
    const refusal = given ?? (await this.#refusal(tx, movement))
    if (refusal === undefined) {
      await this.#book(tx, movement, 'movement')
      return { state: 'done', again: false }
    }
    await tx.query(
      `update movements set state = 'refused', reason = $3 where exchange_id = $1 and kind = $2`,
      [exchangeId, kind, refusal],
    )
    return { state: 'refused', reason: refusal }
  }

  async #lock(tx: ClientBase, exchangeId: string, kind: MovementKind): Promise<MovementRow | undefined> {
    const { rows } = await tx.query<MovementRow>(
      `select state, customer_id, currency, amount, reason from movements
      where exchange_id = $1 and kind = $2 for update`,
      [exchangeId, kind],
    )
    return rows[0]
  }

  /** Locks the customer's account, so that what it is told still holds when it is booked. */
  async #refusal(
    tx: ClientBase,
    { kind, customerId, currency, amount }: Movement,
  ): Promise<Refusal | undefined> {
    const { rows } = await tx.query<{ balance: number }>(
      'select balance from accounts where owner = $1 and currency = $2 for update',
      [customerId, currency],
    )
    const account = rows[0]
    if (account === undefined || customerId === bank) return 'NO_SUCH_ACCOUNT'
    return kind === 'withdrawal' && account.balance < amount ? 'INSUFFICIENT_FUNDS' : undefined
  }

  /** Both entries, the customer's first: everybody locks in this order, and the bank's account as late as can be. */
  async #book(
    tx: ClientBase,
    { exchangeId, kind, customerId, currency, amount }: Movement,
    entry: 'movement' | 'cancellation',
  ): Promise<void> {
    const toCustomer = (kind === 'deposit') === (entry === 'movement') ? amount : -amount
    await tx.query(
      `insert into entries (exchange_id, kind, entry, owner, currency, amount)
      values ($1, $2, $3, $4, $6, $7::bigint), ($1, $2, $3, $5, $6, -($7::bigint))`,
      [exchangeId, kind, entry, customerId, bank, currency, toCustomer],
    )
    for (const [owner, change] of [
      [customerId, toCustomer],
      [bank, -toCustomer],
    ] as const)
      // oxlint-disable-next-line no-await-in-loop -- in this order
      await tx.query('update accounts set balance = balance + $3 where owner = $1 and currency = $2', [
        owner,
        currency,
        change,
      ])
  }
}

function hadMoved({ customer_id, reason }: MovementRow): boolean {
  return customer_id !== null && reason === null
}

/** The answer to a movement that is known already. */
function repeated(found: MovementRow, { customerId, currency, amount }: Movement): Moved {
  if (found.customer_id === null) return { state: 'cancelled' }
  if (found.customer_id !== customerId || found.currency !== currency || found.amount !== amount)
    return { state: 'conflict' }
  if (found.state === 'refused') return { state: 'refused', reason: found.reason! }
  return found.state === 'cancelled' ? { state: 'cancelled' } : { state: 'done', again: true }
}
