/** A gift's row, and the gift as it is told. */
import type { Gift, GiftState } from './schemas.ts'

export interface GiftRow {
  readonly id: string
  readonly number: string
  readonly coupon_id: string
  readonly recipient: string
  readonly message: string
  readonly campaign: string | null
  readonly partner: boolean
  readonly trouble: string | null
  readonly reply_topic: string | null
  readonly reply_headers: Record<string, string> | null
  readonly stored_at: Date
  readonly ended_at: Date | null
  readonly state: GiftState
}

export function toGift(row: GiftRow): Gift {
  const { id, coupon_id, recipient, message, campaign, partner, trouble, state } = row
  const self = `/gifts/${id}`
  return {
    giftId: id,
    couponId: coupon_id,
    recipient,
    message,
    ...(campaign !== null && { campaign }),
    partner,
    state,
    ...(trouble !== null && state === 'unknown' && { trouble }),
    ...(row.reply_topic !== null && { reply: { topic: row.reply_topic, headers: row.reply_headers ?? {} } }),
    storedAt: row.stored_at.toISOString(),
    ...(row.ended_at !== null && { endedAt: row.ended_at.toISOString() }),
    links: { self, events: `${self}/events` },
  }
}
