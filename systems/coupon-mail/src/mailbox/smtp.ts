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
  readonly onRefused: (recipient: string) => void
}

export function createSmtpServer({ mailbox, answerDelay, onRefused }: SmtpOptions): SMTPServer {
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
      onRefused(address)
      done(refusal(550, '5.1.1 no such mailbox here'))
    },
    onData(stream, session, done) {
      receive(stream, session).then(
        () => done(null, 'accepted'),
        (error: Error) => done(error),
      )
    },
  })
  // A client that goes in the middle of it.
  server.on('error', () => {})
  return server

  async function receive(stream: SMTPServerDataStream, session: SMTPServerSession): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of stream) if (!stream.sizeExceeded) chunks.push(chunk as Buffer)
    if (stream.sizeExceeded) throw refusal(552, '5.3.4 the mail is too large')
    const recipients = session.envelope.rcptTo.map(({ address }) => address)
    if (!mailbox.take(Buffer.concat(chunks).toString(), recipients))
      throw refusal(452, '4.2.2 the mailbox is full')
    await sleep(answerDelay())
  }
}

function refusal(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode })
}
