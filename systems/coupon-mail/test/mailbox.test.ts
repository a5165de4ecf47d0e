/** The mailbox: what it keeps, and what it drops as a duplicate. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readMailHeaders } from '../src/mailbox/mail-headers.ts'
import { Mailbox } from '../src/mailbox/mailbox.ts'

function mail(messageId: string): string {
  return `Message-ID: ${messageId}\r\nSubject: Hello\r\n\r\nSubject: not this\r\n`
}

test('header fields are unfolded, of a name the first counts, and the text is none of them', () => {
  const headers = readMailHeaders('Subject: a\r\n\tlong one\r\nSUBJECT: b\r\nno field\r\n\r\nX: y')
  assert.deepEqual([...headers], [['subject', 'a long one']])
})

test('a Message-ID that comes again within the window is accepted, dropped and counted; later it is kept', () => {
  const mailbox = new Mailbox({ duplicateWindow: () => 1_000, most: 10 })
  for (const now of [0, 999]) assert.equal(mailbox.take(mail('<a>'), ['x@example.test'], now), true)
  assert.deepEqual([mailbox.count, mailbox.duplicates], [1, 1])
  mailbox.take(mail('<a>'), ['x@example.test'], 1_000)
  mailbox.take(mail('<b>'), ['y@example.test'], 1_000)
  assert.deepEqual([mailbox.count, mailbox.duplicates], [3, 1])
  assert.deepEqual(
    mailbox.list(0, 10, 'x@example.test').map(({ number }) => number),
    [1, 2],
  )
  assert.deepEqual(
    [mailbox.list(0, 1, 'x@example.test'), mailbox.list(1, 10, 'x@example.test')].map(([one, more]) => [
      one?.number,
      more,
    ]),
    [
      [1, undefined],
      [2, undefined],
    ],
  )
  assert.deepEqual(mailbox.list(2, 10)[0]!.messageId, '<b>')
})

test('with a window of 0 every mail is kept', () => {
  const mailbox = new Mailbox({ duplicateWindow: () => 0, most: 10 })
  for (let times = 0; times < 2; times++) mailbox.take(mail('<a>'), ['x@example.test'], 5)
  assert.deepEqual([mailbox.count, mailbox.duplicates], [2, 0])
})

test('a full mailbox takes nothing more', () => {
  const mailbox = new Mailbox({ duplicateWindow: () => 0, most: 1 })
  assert.equal(mailbox.take(mail('<a>'), []), true)
  assert.equal(mailbox.take(mail('<b>'), []), false)
  assert.equal(mailbox.count, 1)
})
