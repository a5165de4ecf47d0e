/** What is known of a mail after it was given to an SMTP server. */
import assert from 'node:assert/strict'
import { createServer, type AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { SmtpSender } from '../src/mail-api/smtp-sender.ts'
import { Mailbox } from '../src/mailbox/mailbox.ts'
import { createSmtpServer } from '../src/mailbox/smtp.ts'
import type { Mail } from '../src/messages.ts'

const mailbox = new Mailbox({ duplicateWindow: () => 0, most: 2 })
const smtp = createSmtpServer({ mailbox, answerDelay: () => 0, counts: { refused: 0, untold: 0 } })
let url: string
before(async () => {
  await new Promise<void>((resolve) => {
    const server = smtp.listen(0, '127.0.0.1', () => {
      url = `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`
      resolve()
    })
  })
})
after(() => new Promise<void>((resolve) => smtp.close(resolve)))

function mail(recipient: string): Mail {
  return { mailId: 'm', recipient, subject: 'Grüße', text: 'Hello\n.\nthere' }
}

test('a mail that the server accepts is sent, with its Message-ID', async () => {
  const { result } = await new SmtpSender(url).send(mail('kim@example.test'), 'm@coupon-mail.test')
  assert.equal(result, 0)
  assert.equal(mailbox.list(0, 1, 'kim@example.test')[0]!.messageId, '<m@coupon-mail.test>')
})

test('a recipient that the server refuses for good: failed, with what it said', async () => {
  const { result, detail } = await new SmtpSender(url).send(mail('no-such-one@example.test'), 'm')
  assert.equal(result, 1)
  assert.match(detail, /550/)
})

test('a refusal for now is neither', async () => {
  await new SmtpSender(url).send(mail('lee@example.test'), 'm')
  await assert.rejects(new SmtpSender(url).send(mail('lee@example.test'), 'm'), /452/)
})

test('a server that is not there, and one that goes in the middle of it, are neither', async (t) => {
  await assert.rejects(
    new SmtpSender('smtp://127.0.0.1:1').send(mail('kim@example.test'), 'm'),
    /ECONNREFUSED/,
  )
  const broken = createServer((socket) => {
    socket.write('220 hello\r\n')
    socket.once('data', () => socket.destroy())
  })
  t.after(() => broken.close())
  const port = await new Promise<number>((resolve) => {
    broken.listen(0, '127.0.0.1', () => resolve((broken.address() as AddressInfo).port))
  })
  await assert.rejects(new SmtpSender(`smtp://127.0.0.1:${port}`).send(mail('kim@example.test'), 'm'))
})
