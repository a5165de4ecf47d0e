/** The gifts: each is stored together with the command to send its mail, and ends with the reply to that. */
import { inTransaction } from '@milena/hosting'
import type { Outbox } from '@milena/postgres'
import { randomBytes, randomUUID } from 'node:crypto'
import type { Pool } from 'pg'
import { campaignHeader, couponHeader, type Messages, type Result } from '../messages.ts'
import { toGift, type GiftRow } from './gift-row.ts'
import { giftMail, type Coupon } from './mail-text.ts'
import type { Gift, GiftPage, GiftRequest, GiftState } from './schemas.ts'

/** What came back for a mail. */
export interface MailReply {
  readonly correlationId: string
  /** `undefined` where the worker has given up; then `trouble` says why. */
  readonly result: Result | undefined
  readonly trouble: string | undefined
  readonly topic: string
  readonly headers: Readonly<Record<string, string>>
}

export class Gifts {
  readonly #pool: Pool
  readonly #outbox: Outbox
  readonly #messages: Messages

  constructor(pool: Pool, outbox: Outbox, messages: Messages) {
    this.#pool = pool
    this.#outbox = outbox
    this.#messages = messages
  }

  /** The gift; the first one, if it is given again. `undefined`: there is one of that name with other content. */
  async give(coupon: Coupon, request: GiftRequest): Promise<Gift | undefined> {
    const { giftId = randomUUID(), recipient, message, campaign, partner } = request
    const { sendMail, replyTopics } = this.#messages
    await inTransaction(this.#pool, async (tx) => {
      const correlationId = randomBytes(16)
      const { rowCount } = await tx.query(
        `insert into gifts (id, coupon_id, recipient, message, campaign, partner, correlation_id)
        values ($1, $2, $3, $4, $5, $6, $7) on conflict (id) do nothing`,
        [giftId, coupon.id, recipient, message, campaign ?? null, partner, correlationId],
      )
      if (rowCount === 0) return
      const { id } = await this.#outbox.add(tx, sendMail, giftMail(giftId, coupon, recipient, message), {
        correlationId,
        replyTo: { topic: partner ? replyTopics.partner : replyTopics.own },
        headers: { [couponHeader]: coupon.id, ...(campaign !== undefined && { [campaignHeader]: campaign }) },
      })
      await tx.query('update gifts set outbox_id = $2 where id = $1', [giftId, id])
    })
    const gift = (await this.find(giftId))!
    return isSame(gift, coupon, request) ? gift : undefined
  }

  /** Writes down what came back. A reply that comes again changes nothing; one that belongs to no gift neither. */
  async settle({ correlationId, result, trouble, topic, headers }: MailReply): Promise<void> {
    await this.#pool.query(
      `update gifts set result = $2, trouble = $3, reply_topic = $4, reply_headers = $5,
        ended_at = case when $2::smallint is null then null else clock_timestamp() end
      where correlation_id = $1 and result is null`,
      [Buffer.from(correlationId, 'hex'), result ?? null, trouble ?? null, topic, headers],
    )
  }

  async find(id: string): Promise<Gift | undefined> {
    const { rows } = await this.#pool.query<GiftRow>('select * from gift_states where id = $1', [id])
    return rows[0] && toGift(rows[0])
  }

  /** In the order in which they were stored. @param after the number of the last one of the page before */
  async list(state: GiftState | undefined, after: string, limit: number): Promise<GiftPage> {
    const { rows } = await this.#pool.query<GiftRow>(
      `select * from gift_states where number > $1 and ($2::text is null or state = $2) order by number limit $3`,
      [after, state ?? null, limit + 1],
    )
    const gifts = rows.slice(0, limit).map(toGift)
    if (rows.length <= limit) return { gifts }
    const of = state === undefined ? '' : `state=${state}&`
    return { gifts, next: `/gifts?${of}limit=${limit}&after=${rows[limit - 1]!.number}` }
  }

  async coupons(): Promise<readonly Coupon[]> {
    return (await this.#pool.query<Coupon>('select id, title from coupons order by id')).rows
  }

  async coupon(id: string): Promise<Coupon | undefined> {
    return (await this.#pool.query<Coupon>('select id, title from coupons where id = $1', [id])).rows[0]
  }
}

function isSame(gift: Gift, coupon: Coupon, request: GiftRequest): boolean {
  return (
    gift.couponId === coupon.id &&
    (['recipient', 'message', 'campaign', 'partner'] as const).every((name) => gift[name] === request[name])
  )
}
