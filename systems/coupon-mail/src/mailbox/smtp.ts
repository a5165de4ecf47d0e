/** The SMTP side of the mailbox: what it accepts and refuses, and when it says so. */
import { setTimeout as sleep } from 'node:timers/promises'
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server'
import type { Mailbox } from './mailbox.ts'

/** Nobody lives at addresses that begin so. */
export const unknownRecipients = 'no-such-'
const mostBytes = 256 * 1024
/** Milliseconds that a client may say nothing, and that closing waits for those that are connected. */
const silence = 30_000
const closeBound = 500

export interface SmtpOptions {
  readonly mailbox: Mailbox
  /** Milliseconds from when a mail is in the mailbox until its sender is told: in between nobody but us knows. */
  readonly answerDelay: () => number
  readonly counts: SmtpCounts
}

export interface SmtpCounts {
  /** Recipients that were refused. */
  refused: number
  /** Mails that are in the mailbox, and whose sender is not told yet. */
  untold: number
}

export function createSmtpServer({ mailbox, answerDelay, counts }: SmtpOptions): SMTPServer {
  const server = new SMTPServer({
    name: 'mailbox.test',
    // In the clear and for everybody: it listens on 127.0.0.1.
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    size: mostBytes,
    socketTimeout: silence,
    closeTimeout: closeBound,
    onRcptTo({ address }, _session, done) {
      if (!address.startsWith(unknownRecipients)) return done()
      counts.refused++
      done(refusal(550, '5.1.1 no such mailbox here'))
    },
    onData: (stream, session, done) => void answer(stream, session, done),
  })
  // A client that goes in the middle of it.
  server.on('error', () => {})
  return server

  async function answer(
    stream: SMTPServerDataStream,
    session: SMTPServerSession,
    done: (error?: Error | null, message?: string) => void,
  ): Promise<void> {
    let refused: Error | null = null
    try {
      await receive(stream, session)
    } catch (error) {
      refused = error as Error
    }
    done(refused, 'accepted')
  }

  async function receive(stream: SMTPServerDataStream, session: SMTPServerSession): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of stream) if (!stream.sizeExceeded) chunks.push(chunk as Buffer)
    if (stream.sizeExceeded) throw refusal(552, '5.3.4 the mail is too large')
    const recipients = session.envelope.rcptTo.map(({ address }) => address)
    if (!mailbox.take(Buffer.concat(chunks).toString(), recipients))
      throw refusal(452, '4.2.2 the mailbox is full')
    counts.untold++
    await sleep(answerDelay())
    counts.untold--
  }
}

function refusal(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode })
}
