/** Reads what the services tell: gifts, mails, and figures. */
import type { JsonClient } from '@milena/hosting'
import type { Gift, GiftPage, GiftState } from '../coupon/schemas.ts'
import type { MailStats } from '../mail-api/mails.ts'
import type { StoredMail } from '../mailbox/mailbox.ts'

export interface MailboxStats {
  readonly mails: number
  readonly duplicates: number
  readonly refused: number
  readonly untold: number
}

const timeout = 10_000

export async function readGifts(coupon: JsonClient): Promise<readonly Gift[]> {
  const all: Gift[] = []
  for (let next: string | undefined = '/gifts?limit=500'; next !== undefined;) {
    const page: GiftPage = await get(coupon, next)
    all.push(...page.gifts)
    next = page.next
  }
  return all
}

export async function readMails(mailbox: JsonClient): Promise<readonly StoredMail[]> {
  const all: StoredMail[] = []
  for (;;) {
    const page = await get<StoredMail[]>(mailbox, `/mails?limit=1000&after=${all.length}`)
    if (page.length === 0) return all
    all.push(...page)
  }
}

/** Whether there is a gift that has not come to its end; `undefined` when nobody says. */
export async function isAnyOpen(coupon: JsonClient): Promise<boolean | undefined> {
  const states: readonly GiftState[] = ['stored', 'requested', 'unknown']
  try {
    const pages = await Promise.all(
      states.map((state) => get<GiftPage>(coupon, `/gifts?state=${state}&limit=1`)),
    )
    return pages.some(({ gifts }) => gifts.length > 0)
  } catch {
    return undefined
  }
}

export function readMailStats(api: JsonClient): Promise<MailStats> {
  return get(api, '/stats')
}

export function readMailboxStats(mailbox: JsonClient): Promise<MailboxStats> {
  return get(mailbox, '/stats')
}

/** @param delay milliseconds from when a mail is in the mailbox until its sender is told */
export async function setAnswerDelay(mailbox: JsonClient, delay: number): Promise<void> {
  const body = { answerDelay: delay }
  const answer = await mailbox.call({ method: 'PUT', path: '/behaviour', body, timeout })
  if (answer.status !== 200)
    throw new Error(`PUT /behaviour: ${answer.status} ${JSON.stringify(answer.body)}`)
}

async function get<Body>(client: JsonClient, path: string): Promise<Body> {
  const { status, body } = await client.call({ method: 'GET', path, timeout })
  if (status !== 200) throw new Error(`GET ${path}: ${status} ${JSON.stringify(body)}`)
  return body as Body
}
