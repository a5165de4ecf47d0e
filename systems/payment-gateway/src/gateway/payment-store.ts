/**
 * Payments in the database: written down, and settled.
 *
 * A statement that changes a payment also writes its history and its dead letter, so neither is ever missing. The two
 * that every payment needs are written in batches, many payments in one statement.
 */
import { GroupCommit } from '@milena/postgres'
import type { Pool, PoolClient } from 'pg'
import type { DeadLetter, EventName, Outcome, Payment, PaymentEvent, PaymentId } from './payment.ts'

export type Details = Readonly<Record<string, unknown>>

export type NewPayment = Pick<
  Payment,
  'kind' | 'id' | 'orderId' | 'amount' | 'method' | 'owner' | 'expiresAt'
>

export const paymentColumns = `kind, id, order_id as "orderId", amount, method, state, owner, expires_at as "expiresAt",
  approval_id as "approvalId", reason, created_at as "createdAt", settled_at as "settledAt"`

/** A payment with what happened to it, read in one. */
export interface ToldPayment extends Payment {
  readonly history: readonly PaymentEvent[]
}

const toldColumns = `${paymentColumns}, coalesce((
  select json_agg(json_build_object('at', e.at, 'event', e.event, 'details', e.details) order by e.seq)
  from payment_events e where e.kind = p.kind and e.id = p.id), '[]') as history`

interface Settlement extends PaymentId, Outcome {
  readonly event: EventName
  readonly details: Details
}

/** Payments that are asked about at once. */
const mostDue = 32

export class PaymentStore {
  readonly #pool: Pool
  readonly #inserts: GroupCommit<NewPayment, boolean>
  readonly #settlements: GroupCommit<Settlement, boolean>

  /** `pace`: see `GroupCommit`. */
  constructor(pool: Pool, pace: number) {
    this.#pool = pool
    this.#inserts = new GroupCommit<NewPayment, boolean>({
      pace,
      idOf: nameOf,
      carryOut: (payments) => insert(payments, pool),
    })
    this.#settlements = new GroupCommit<Settlement, boolean>({
      pace,
      idOf: nameOf,
      carryOut: (settlements) => settle(settlements, pool),
    })
  }

  /**
   * Writes a payment down as pending; false when there is one with this id already, or its time is over: what a database
   * that hung carries out late would be a payment that nobody sends.
   */
  async insert(payment: NewPayment, transaction?: PoolClient): Promise<boolean> {
    if (transaction === undefined) return this.#inserts.add(payment)
    return (await insert([payment], transaction))[0]!
  }

  async find({ kind, id }: PaymentId, on: Pool | PoolClient = this.#pool): Promise<Payment | undefined> {
    const { rows } = await on.query<Payment>({
      name: 'find-payment',
      text: `select ${paymentColumns} from payments where kind = $1 and id = $2`,
      values: [kind, id],
    })
    return rows[0]
  }

  /** Gives a payment its outcome; false when it has one already. */
  settle({ kind, id }: PaymentId, outcome: Outcome, event: EventName, details: Details): Promise<boolean> {
    return this.#settlements.add({ kind, id, ...outcome, event, details })
  }

  /** Says that nobody knows the outcome, and keeps a dead letter; false when the payment is not pending any more. */
  async markUnknown(
    { kind, id }: PaymentId,
    details: Details & { readonly reason: string },
  ): Promise<boolean> {
    const { rowCount } = await this.#pool.query({
      name: 'mark-unknown',
      text: `with marked as (
               update payments set state = 'unknown', next_ask_at = now() where kind = $1 and id = $2 and state = 'pending' returning *),
             kept as (
               insert into dead_letters (kind, id, reason, request)
               select kind, id, $3::jsonb ->> 'reason', to_jsonb(marked) from marked on conflict do nothing)
             insert into payment_events (kind, id, event, details) select kind, id, 'unknown', $3 from marked`,
      values: [kind, id, JSON.stringify(details)],
    })
    return rowCount === 1
  }

  /** Forgets a payment whose request was certainly never sent, so that the caller may try again. */
  async forget({ kind, id }: PaymentId, owner: string): Promise<void> {
    await this.#pool.query(
      `with gone as (
         delete from payments where kind = $1 and id = $2 and state = 'pending' and owner = $3 returning kind, id)
       delete from payment_events e using gone g where e.kind = g.kind and e.id = g.id`,
      [kind, id, owner],
    )
  }

  /**
   * Payments that nobody settles, put off in the same statement, so that no other gateway takes them now. One that was
   * still pending is unknown from now on: its gateway would have said so, were it there.
   */
  async takeDue(): Promise<Payment[]> {
    const { rows } = await this.#pool.query<Payment>({
      name: 'take-due',
      text: `with due as (
               select kind, id, state from payments where state in ('pending', 'unknown') and next_ask_at <= now()
               order by next_ask_at limit ${mostDue} for update skip locked),
             taken as (
               update payments p set state = 'unknown', next_ask_at = now() + interval '1 second'
               from due where p.kind = due.kind and p.id = due.id returning p.*, due.state as before),
             kept as (
               insert into dead_letters (kind, id, reason, request)
               select kind, id, 'its gateway died', to_jsonb(taken) - 'before' from taken where before = 'pending'
               on conflict do nothing),
             told as (
               insert into payment_events (kind, id, event, details)
               select kind, id, 'gateway-lost', jsonb_build_object('gateway', owner) from taken where before = 'pending')
             select ${paymentColumns} from taken`,
    })
    return rows
  }

  async addEvent({ kind, id }: PaymentId, event: EventName, details: Details): Promise<void> {
    await this.#pool.query('insert into payment_events (kind, id, event, details) values ($1, $2, $3, $4)', [
      kind,
      id,
      event,
      JSON.stringify(details),
    ])
  }

  /** The charge of an order with what happened to it. */
  async findTold(orderId: string): Promise<ToldPayment | undefined> {
    const { rows } = await this.#pool.query<ToldPayment>(
      `select ${toldColumns} from payments p where kind = 'charge' and id = $1`,
      [orderId],
    )
    return rows[0]
  }

  /** So many refunds of an order, in their order, behind the one with this id, if given. */
  async refundsOf(orderId: string, limit: number, after?: string): Promise<ToldPayment[]> {
    const { rows } = await this.#pool.query<ToldPayment>(
      `select ${toldColumns} from payments p
       where kind = 'refund' and order_id = $1 and ($2::text is null or (created_at, id) >
         (select created_at, id from payments where kind = 'refund' and id = $2))
       order by created_at, id limit $3`,
      [orderId, after, limit],
    )
    return rows
  }

  /** The latest first. */
  async deadLetters(limit: number): Promise<DeadLetter[]> {
    const { rows } = await this.#pool.query<DeadLetter>(
      `select d.kind, d.id, p.order_id as "orderId", p.amount, d.reason, d.at, d.resolved_at as "resolvedAt", d.resolution
       from dead_letters d join payments p using (kind, id) order by d.seq desc limit $1`,
      [limit],
    )
    return rows
  }
}

/** Of each, whether it is written down now. */
async function insert(payments: readonly NewPayment[], on: Pool | PoolClient): Promise<boolean[]> {
  const { rows } = await on.query<PaymentId>({
    name: 'insert-payments',
    text: `with inserted as (
             insert into payments (kind, id, order_id, amount, method, owner, expires_at, next_ask_at)
             select kind, id, "orderId", amount, method, owner, "expiresAt", "expiresAt" + interval '1 second' from json_to_recordset($1) as given(
               kind text, id text, "orderId" text, amount bigint, method text, owner text, "expiresAt" timestamptz)
             where "expiresAt" > clock_timestamp()
             on conflict do nothing returning kind, id, owner),
           told as (
             insert into payment_events (kind, id, event, details)
             select kind, id, 'accepted', jsonb_build_object('gateway', owner) from inserted)
           select kind, id from inserted`,
    values: [JSON.stringify(payments)],
  })
  return foundIn(rows, payments)
}

/** Of each, whether it had no outcome yet. */
async function settle(settlements: readonly Settlement[], on: Pool): Promise<boolean[]> {
  const { rows } = await on.query<PaymentId>({
    name: 'settle-payments',
    text: `with settled as (
             update payments p
             set state = given.state, approval_id = given."approvalId", reason = given.reason, settled_at = now()
             from json_to_recordset($1) as given(
               kind text, id text, state text, "approvalId" text, reason text, event text, details jsonb)
             where p.kind = given.kind and p.id = given.id and p.state in ('pending', 'unknown')
             returning p.kind, p.id, p.state, given.event, given.details),
           resolved as (
             update dead_letters d set resolved_at = now(), resolution = s.state
             from settled s where d.kind = s.kind and d.id = s.id),
           told as (
             insert into payment_events (kind, id, event, details)
             select kind, id, event, details || jsonb_build_object('status', state) from settled)
           select kind, id from settled`,
    values: [JSON.stringify(settlements)],
  })
  return foundIn(rows, settlements)
}

function foundIn(changed: readonly PaymentId[], all: readonly PaymentId[]): boolean[] {
  const names = new Set(changed.map(nameOf))
  return all.map((one) => names.has(nameOf(one)))
}

/** One text for both parts of a payment's id. */
function nameOf({ kind, id }: PaymentId): string {
  return `${kind} ${id}`
}
