/**
 * Remembers what was sent, so that a mail that is asked for again is not sent again.
 *
 *   claimed (committed) ─▶ sent over SMTP, its row locked ─▶ result written
 *
 * The lock is the claim of a process that lives: it ends with its connection. A row that nobody has locked and that has no
 * result was begun by a process that has died. Whether the server has that mail nobody knows: it is sent again, with the
 * same Message-ID.
 */
import { inTransaction } from '@milena/hosting'
import type { Pool } from 'pg'
import type { Mail } from '../messages.ts'
import type { Sending } from './smtp-sender.ts'

export type Send = (mail: Mail, messageId: string) => Promise<Sending>

export interface MailStats {
  readonly sent: number
  readonly failed: number
  /** Calls for a mail that had been asked for before. */
  readonly askedAgain: number
  /** Mails that were begun more than once. */
  readonly sentAgain: number
}

export class Mails {
  readonly #pool: Pool
  readonly #send: Send

  /** @param pool of twice as many connections as there are calls at once */
  constructor(pool: Pool, send: Send) {
    this.#pool = pool
    this.#send = send
  }

  /** Sends it, unless that was done. Waits for whoever is just sending it. Rejects when it is not known what came of it. */
  async sendOnce(mail: Mail): Promise<Sending> {
    await this.#claim(mail)
    return inTransaction(this.#pool, async (tx) => {
      const { rows } = await tx.query<{ result: Sending['result'] | null; detail: string | null }>(
        'select result, detail from mails where id = $1 for update',
        [mail.mailId],
      )
      const { result, detail } = rows[0]!
      if (result !== null) return { result, detail: detail ?? '' }
      const sending = await this.#send(mail, messageIdOf(mail.mailId))
      await tx.query(
        'update mails set result = $2, detail = $3, ended_at = clock_timestamp() where id = $1',
        [mail.mailId, sending.result, sending.detail],
      )
      return sending
    })
  }

  async stats(): Promise<MailStats> {
    const { rows } = await this.#pool.query<MailStats>(
      `select count(*) filter (where result = 0)::int as sent, count(*) filter (where result = 1)::int as failed,
        coalesce(sum(calls - 1), 0)::int as "askedAgain", count(*) filter (where tries > 1)::int as "sentAgain"
      from mails`,
    )
    return rows[0]!
  }

  /** Committed before anything is sent; while somebody is sending it, it waits. */
  async #claim({ mailId, recipient }: Mail): Promise<void> {
    await this.#pool.query(
      `insert into mails (id, recipient, tries) values ($1, $2, 1)
      on conflict (id) do update set calls = mails.calls + 1,
        tries = mails.tries + case when mails.result is null then 1 else 0 end`,
      [mailId, recipient],
    )
  }
}

/** The mail's name for everybody (RFC 5322, 3.6.4): whoever sees it twice can tell. */
export function messageIdOf(mailId: string): string {
  return `${mailId}@coupon-mail.test`
}
