/** What a change was answered, as a shop's row keeps it. */
import { ReplyError } from '@milena/request-reply'
import type { Changed } from '../domain/messages.ts'
import type { Refusal } from '../domain/radius.ts'

export interface Answer {
  /** Of the change's record. */
  readonly offset: number
  readonly radius: number
  readonly changes: number
  readonly refused?: Refusal
}

const words: Readonly<Record<Refusal, string>> = {
  ALREADY_ACTIVE: 'this is going on at the shop already',
  NOT_ACTIVE: 'this is not going on at the shop',
}

/**
 * The reply. A refused change has done nothing, and can be asked for again, as another change of another place in the log; to
 * try this one again mends nothing, and would hold up the shop.
 */
export function toReply(shop: string, { radius, changes, refused }: Answer): Changed | ReplyError {
  if (refused === undefined) return { shop, radius, changes }
  return new ReplyError(refused, `${shop}: ${words[refused]}`, { effect: 'none' })
}

export function shopUnknown(shop: string): ReplyError {
  return new ReplyError('SHOP_UNKNOWN', `there is no ${shop}`, { effect: 'none' })
}

/** It comes again, after so many others of its shop that its answer is not kept any more. */
export function answeredBefore(shop: string): ReplyError {
  return new ReplyError('ANSWERED_BEFORE', `${shop}: this change was answered before, and many after it`)
}
