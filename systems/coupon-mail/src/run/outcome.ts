/** What a run has come to, and its table. */
import type { Cells } from '@milena/hosting'
import { giftStates, type Gift } from '../coupon/schemas.ts'
import type { MailStats } from '../mail-api/mails.ts'
import type { Service } from '../system.ts'
import { waitOf, type Findings } from './findings.ts'
import type { Told } from './load.ts'
import type { MailboxStats } from './reading.ts'

export interface Outcome {
  readonly told: Told
  readonly gifts: readonly Gift[]
  /** Before the previews were sent; `undefined` with another SMTP server. */
  readonly mailbox: MailboxStats | undefined
  readonly api: MailStats
  /** Those that came to their end before anything was killed. */
  readonly calm: readonly Gift[]
  readonly killed: Readonly<Record<Service, number>>
  readonly findings: Findings
  /** Previews whose callers got the result, by the reply topic that it came on. */
  readonly previews: ReadonlyMap<string, number>
}

export function table({ told, gifts, calm, mailbox, api, killed, findings, previews }: Outcome): Cells {
  const states = giftStates.map((state) => [state, gifts.filter((gift) => gift.state === state).length])
  const { mails } = findings
  return [
    ['coupons given', String(told.accepted.size + told.unanswered.size)],
    ['gifts', String(gifts.length)],
    ...states.map(([state, count]) => [`  ${state}`, String(count)]),
    ['from gift to result: p50, p99, the longest', wait(gifts)],
    ['before the first kill', wait(calm)],
    ['results on', topics(gifts)],
    ...(mails === undefined || mailbox === undefined
      ? [['mails in the mailbox', 'not looked at: SMTP_URL is not ours']]
      : [
          ['mails in the mailbox', String(mailbox.mails)],
          ['  of a sent gift exactly one', String(mails.one)],
          ['  of a sent gift none', String(mails.none)],
          ['  of a sent gift more than one', String(mails.more)],
          ['mails that came again, dropped by Message-ID', String(mailbox.duplicates)],
          ['recipients that the SMTP server refused', String(mailbox.refused)],
        ]),
    ['times that the Mail API was asked for a mail again', String(api.askedAgain)],
    ['mails that it had to send again, not knowing', String(api.sentAgain)],
    ['times that a giver asked again', String(told.askedAgain)],
    ['killed with SIGKILL', counts(Object.entries(killed))],
    ['previews, whose callers waited, by reply topic', counts(previews)],
    ['what did not hold', String(findings.problems.length)],
  ]
}

function topics(gifts: readonly Gift[]): string {
  const byTopic = Map.groupBy(gifts, ({ reply }) => reply?.topic ?? 'none yet')
  return counts([...byTopic].map(([topic, { length }]) => [topic, length] as const))
}

function counts(of: Iterable<readonly [string, number]>): string {
  return [...of].map(([name, count]) => `${name} ${count}`).join(', ')
}

function wait(gifts: readonly Gift[]): string {
  const { p50, p99, most } = waitOf(gifts)
  return [p50, p99, most].map((one) => (Number.isNaN(one) ? '-' : `${one.toFixed(0)} ms`)).join(', ')
}
