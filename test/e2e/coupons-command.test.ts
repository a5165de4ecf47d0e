/** `npm run coupons`: it would say if its point did not hold; that it does shows in systems.test.ts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSmtpServer } from '../../systems/coupon-mail/src/mailbox/smtp.ts'
import { Mailbox } from '../../systems/coupon-mail/src/mailbox/mailbox.ts'
import { run } from '../support/payment-system.ts'

function coupons(args: readonly string[], env: NodeJS.ProcessEnv = {}): ReturnType<typeof run>['ended'] {
  return run(args, env, 'systems/coupon-mail/src/main.ts').ended
}

test('a Mail API that forgets what it has sent is found', async () => {
  const { status, stdout, stderr } = await coupons([
    '--gifts',
    '40',
    '--rate',
    '20',
    '--kills',
    '2',
    '--defect',
  ])
  assert.equal(status, 1, stdout + stderr)
  assert.match(stdout, /g-\d+ is sent, and has 2 mails instead of 1/)
})

test('another SMTP server gets the mails, and the table says that its mailbox was not looked at', async (t) => {
  const mailbox = new Mailbox({ duplicateWindow: () => 0, most: 100 })
  const smtp = createSmtpServer({ mailbox, answerDelay: () => 0, counts: { refused: 0, untold: 0 } })
  const server = await new Promise<{ port: number }>((resolve) => {
    const listening = smtp.listen(0, '127.0.0.1', () => resolve(listening.address() as { port: number }))
  })
  t.after(() => new Promise<void>((resolve) => smtp.close(resolve)))
  const { status, stdout, stderr } = await coupons(['--gifts', '10', '--kills', '0', '--refused', '0'], {
    SMTP_URL: `smtp://127.0.0.1:${server.port}`,
  })
  assert.equal(status, 0, stdout + stderr)
  assert.match(stdout, /mails in the mailbox +not looked at/)
  assert.equal(mailbox.list(0, 100).filter(({ subject }) => subject.startsWith('A gift')).length, 10)
})

test('options that cannot work are all told at once', async () => {
  const { status, stderr } = await coupons(['--kills', '5', '--gifts', '2', '--rate', 'fast'])
  assert.equal(status, 2)
  assert.match(stderr, /^--rate must be .*; --kills 5 is more than .*; --help lists the options\n$/)
})

test('an SMTP_URL that is none is status 2 and one line', async () => {
  const { status, stderr } = await coupons([], { SMTP_URL: 'mail.example.test' })
  assert.equal(status, 2)
  assert.match(stderr, /SMTP_URL must be smtp:/)
})
