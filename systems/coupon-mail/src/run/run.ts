/** One run: the load, what is killed meanwhile, and what has come of it. */
import { JsonClient } from '@milena/hosting'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunOptions } from '../options.ts'
import type { CouponSystem } from '../system.ts'
import { find, type MailCounts } from './findings.ts'
import { Kills } from './kills.ts'
import { runLoad, type Told } from './load.ts'
import type { Outcome } from './outcome.ts'
import { isAnyOpen, readGifts, readMailboxStats, readMails, readMailStats } from './reading.ts'

/** Milliseconds that everything may take to come to its end after the load. */
const patience = 60_000
const pause = 200
/** Milliseconds that a preview's caller waits: longer than the service does. */
const previewTimeout = 15_000

export async function run(
  system: CouponSystem,
  options: RunOptions,
  show: (step: string, detail?: string) => void,
): Promise<Outcome> {
  const { gifts: wanted, rate, refused, domain } = options
  const coupon = new JsonClient(system.urlOf('coupon'), 100)
  const api = new JsonClient(system.urlOf('mail-api'), 1)
  const mailbox = system.mailboxUrl === undefined ? undefined : new JsonClient(system.mailboxUrl, 1)
  const kills = new Kills(system, mailbox, options.kills, wanted)
  const told: Told = { accepted: new Map(), unanswered: new Map(), askedAgain: 0 }
  try {
    const onGive = (given: number): void => {
      show('giving', `: ${given + 1} of ${wanted}, ${told.accepted.size} accepted`)
      kills.advance(given)
    }
    await runLoad({ client: coupon, gifts: wanted, rate, refused, domain, onGive }, told)
    await kills.end()
    show('all come to their end')
    await settle(coupon)
    const gifts = await readGifts(coupon)
    const counts = mailbox && countByRecipient(await readMails(mailbox))
    return {
      told,
      gifts,
      mailbox: mailbox && (await readMailboxStats(mailbox)),
      api: await readMailStats(api),
      killed: kills.killed,
      calm: gifts.filter(({ endedAt }) => endedAt !== undefined && Date.parse(endedAt) < kills.first),
      findings: find(told, gifts, counts),
      previews: await preview(coupon, domain),
    }
  } finally {
    for (const client of [coupon, api, mailbox]) client?.close()
  }
}

async function settle(coupon: JsonClient): Promise<void> {
  const began = performance.now()
  while ((await isAnyOpen(coupon)) !== false && performance.now() - began < patience) await sleep(pause)
}

function countByRecipient(mails: Awaited<ReturnType<typeof readMails>>): MailCounts {
  const byRecipient = Map.groupBy(
    mails.flatMap(({ recipients }) => recipients),
    (recipient) => recipient,
  )
  return new Map([...byRecipient].map(([recipient, { length }]) => [recipient, length]))
}

/** Asks for a preview as the service's own and as a partner's, and says where the results came. */
async function preview(coupon: JsonClient, domain: string): Promise<ReadonlyMap<string, number>> {
  const bodies = [false, true].map((partner) => ({ recipient: `preview@${domain}`, partner }))
  const answers = await Promise.all(
    bodies.map((body) =>
      coupon.call({ method: 'POST', path: '/coupons/cake/preview', body, timeout: previewTimeout }),
    ),
  )
  const topics = answers.map(({ status, body }) =>
    status === 200 ? (body as { reply: { topic: string } }).reply.topic : `none (${status})`,
  )
  return new Map([...Map.groupBy(topics, (topic) => topic)].map(([topic, { length }]) => [topic, length]))
}
