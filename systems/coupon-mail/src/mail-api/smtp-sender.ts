/** Sends a mail over SMTP, and says what is known of it. */
import { messageOf } from '@milena/hosting'
import { createTransport } from 'nodemailer'
import type { Mail, Result } from '../messages.ts'

export interface Sending {
  readonly result: Result
  /** What the server said. */
  readonly detail: string
}

const from = 'Coupons <coupons@coupon-mail.test>'
/**
 * Milliseconds: until the connection stands, until the server greets, and that it may say nothing. A server that takes longer
 * to answer the mail's last line may have it all the same (RFC 5321, 4.5.3.2.6, would give it ten minutes).
 */
const limits = { connectionTimeout: 3_000, greetingTimeout: 3_000, socketTimeout: 60_000 }

export class SmtpSender {
  readonly #transport: ReturnType<typeof createTransport>

  /** @param url `smtp://user:password@host:port`, or `smtps://` */
  constructor(url: string) {
    // A connection for each mail: a pool would send one again by itself whose connection has broken.
    this.#transport = createTransport({ url, ...limits })
  }

  /**
   * Resolves when the server has accepted it, or has refused it for good. Rejects in any other case: not now, or not known,
   * as when the connection breaks after the mail's last line.
   *
   * @param messageId without angle brackets; the same for every try
   */
  async send({ recipient, subject, text }: Mail, messageId: string): Promise<Sending> {
    try {
      const { response } = await this.#transport.sendMail({
        from,
        to: { name: '', address: recipient },
        subject,
        text,
        messageId: `<${messageId}>`,
      })
      return { result: 0, detail: response }
    } catch (error) {
      if (isRefusal(error)) return { result: 1, detail: messageOf(error) }
      throw error
    }
  }

  close(): void {
    this.#transport.close()
  }
}

/** Of this mail: an address, or the mail itself, and with a permanent code (RFC 5321, 4.2.1). */
function isRefusal(error: unknown): boolean {
  const { code, responseCode = 0 } = error as { code?: string; responseCode?: number }
  return (code === 'EENVELOPE' || code === 'EMESSAGE') && responseCode >= 500 && responseCode < 600
}
