/** What the SMTP server has accepted, in memory, and what it has dropped as duplicates. */
import { readMailHeaders } from './mail-headers.ts'

export interface StoredMail {
  /** Its place, from 1, in the order of acceptance. */
  readonly number: number
  readonly messageId: string | undefined
  readonly recipients: readonly string[]
  readonly subject: string
  readonly receivedAt: string
}

export interface MailboxOptions {
  /**
   * Milliseconds within which a mail with a Message-ID that was accepted before is accepted and dropped; 0 keeps every mail,
   * as most servers do.
   */
  readonly duplicateWindow: () => number
  /** Mails that are kept; one more is refused for now. */
  readonly most: number
}

export class Mailbox {
  readonly #options: MailboxOptions
  readonly #mails: StoredMail[] = []
  /** When each Message-ID was accepted. */
  readonly #accepted = new Map<string, number>()
  #duplicates = 0

  constructor(options: MailboxOptions) {
    this.#options = options
  }

  /** Those that were dropped. */
  get duplicates(): number {
    return this.#duplicates
  }

  get count(): number {
    return this.#mails.length
  }

  /** Returns false when there is no room for it. */
  take(raw: string, recipients: readonly string[], now = Date.now()): boolean {
    const { duplicateWindow, most } = this.#options
    const headers = readMailHeaders(raw)
    const messageId = headers.get('message-id')
    const before = messageId === undefined ? undefined : this.#accepted.get(messageId)
    if (before !== undefined && now - before < duplicateWindow()) {
      this.#duplicates++
      return true
    }
    if (this.#mails.length >= most) return false
    if (messageId !== undefined) this.#accepted.set(messageId, now)
    this.#mails.push({
      number: this.#mails.length + 1,
      messageId,
      recipients,
      subject: headers.get('subject') ?? '',
      receivedAt: new Date(now).toISOString(),
    })
    return true
  }

  /** At most `limit` of those behind the one with number `after`; with a recipient, of that one's. */
  list(after: number, limit: number, recipient?: string): readonly StoredMail[] {
    if (recipient === undefined) return this.#mails.slice(after, after + limit)
    const found: StoredMail[] = []
    for (let index = after; index < this.#mails.length && found.length < limit; index++)
      if (this.#mails[index]!.recipients.includes(recipient)) found.push(this.#mails[index]!)
    return found
  }
}
