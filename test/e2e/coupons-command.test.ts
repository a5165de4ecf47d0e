/** `npm run coupons`: it shows its point, and would say if that did not hold. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSmtpServer } from '../../systems/coupon-mail/src/mailbox/smtp.ts'
import { Mailbox } from '../../systems/coupon-mail/src/mailbox/mailbox.ts'
import { run } from '../support/payment-system.ts'

function coupons(args: readonly string[], env: NodeJS.ProcessEnv = {}): ReturnType<typeof run>['ended'] {
  return run(args, env, 'systems/coupon-mail/src/main.ts').ended
}

/** What the table says of something. */
function figure(stdout: string, name: string): number {
  const line = stdout.split('\n').find((one) => one.startsWith(`${name}  `))
  assert.ok(line !== undefined, `no ${name} in ${stdout}`)
  return Number.parseInt(line.slice(name.length), 10)
}

test('worker, Mail API and coupon service are killed while mails are sent: of each sent gift there is one', async () => {
  const { status, stdout, stderr } = await coupons(['--gifts', '60', '--rate', '20', '--kills', '4'])
  assert.equal(status, 0, stdout + stderr)
  const of = (name: string): number => figure(stdout, name)
  assert.equal(of('gifts'), 60)
  assert.deepEqual([of('  sent'), of('  failed')], [57, 3])
  assert.deepEqual([of('mails in the mailbox'), of('  of a sent gift exactly one')], [57, 57])
  // Else the run has shown nothing.
  assert.ok(of('times that the Mail API was asked for a mail again') > 0, stdout)
  assert.match(stdout, /killed with SIGKILL +coupon 1, mail-worker 2, mail-api 1\n/)
})

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
