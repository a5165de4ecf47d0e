/** What must be so at the end: what givers were told and the gifts are held against the mailbox. */
import type { Gift } from '../coupon/schemas.ts'
import type { Given, Told } from './load.ts'

/** How many mails are in the mailbox for each recipient. */
export type MailCounts = ReadonlyMap<string, number>

export interface Findings {
  /** Sent gifts by how many mails there are of each; `undefined` where the mailbox cannot be asked. */
  readonly mails: { readonly one: number; readonly none: number; readonly more: number } | undefined
  readonly problems: readonly string[]
}

export function find(
  { accepted, unanswered }: Pick<Told, 'accepted' | 'unanswered'>,
  gifts: readonly Gift[],
  counts: MailCounts | undefined,
): Findings {
  const problems = [...unanswered.keys()].map((id) => `the giver of ${id} was never answered`)
  const byId = new Map(gifts.map((gift) => [gift.giftId, gift]))
  for (const id of accepted.keys()) if (!byId.has(id)) problems.push(`${id} was accepted, and is not there`)
  const mails = { one: 0, none: 0, more: 0 }
  for (const gift of gifts) {
    const given = accepted.get(gift.giftId) ?? unanswered.get(gift.giftId)
    if (given === undefined) {
      problems.push(`${gift.giftId} is there, and nobody gave it`)
      continue
    }
    const problem = problemOfState(gift, given, counts !== undefined)
    if (problem !== undefined) problems.push(problem)
    if (counts === undefined) continue
    const count = counts.get(gift.recipient) ?? 0
    if (gift.state === 'sent') mails[count === 0 ? 'none' : count === 1 ? 'one' : 'more']++
    const wanted = gift.state === 'sent' ? 1 : 0
    if (count !== wanted && (gift.state === 'sent' || gift.state === 'failed'))
      problems.push(`${gift.giftId} is ${gift.state}, and has ${count} mails instead of ${wanted}`)
  }
  return { mails: counts && mails, problems }
}

/** @param isOurs whether the SMTP server is our own, which is known to refuse some addresses */
function problemOfState({ giftId, state }: Gift, { isRefused }: Given, isOurs: boolean): string | undefined {
  if (state !== 'sent' && state !== 'failed') return `${giftId} has not come to its end: it is ${state}`
  if (!isOurs || (state === 'failed') === isRefused) return undefined
  return isRefused
    ? `${giftId} is sent, to an address that is refused`
    : `${giftId} has failed, and its address is not refused`
}

/** Milliseconds. */
export interface Wait {
  readonly p50: number
  readonly p99: number
  readonly most: number
}

/** How long it took from when a gift was stored until its result was written down. */
export function waitOf(gifts: readonly Gift[]): Wait {
  const waits = gifts.flatMap(({ storedAt, endedAt }) =>
    endedAt === undefined ? [] : [Date.parse(endedAt) - Date.parse(storedAt)],
  )
  const sorted = waits.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN
  return { p50: at(0.5), p99: at(0.99), most: at(1) }
}
