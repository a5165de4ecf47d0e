/** What the Mail API remembers: a mail is sent once, as far as it can know. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { connectDatabase } from '@milena/hosting'
import type { Pool } from 'pg'
import { openTestDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { waitFor } from '../../../test/support/wait-for.ts'
import { applySchema } from '../src/databases.ts'
import { Mails, type Send } from '../src/mail-api/mails.ts'

let database: TestDatabase
let pool: Pool
before(async () => {
  database = await openTestDatabase()
  await applySchema(database.url, 'mail-api')
  pool = await connectDatabase(database.url, { max: 12 })
})
beforeEach(() => pool.query('truncate mails'))
after(async () => {
  await pool.end()
  await database.close()
})

const mail = { mailId: 'g-1', recipient: 'kim@example.test', subject: 'Hello', text: 'there' }
const accepted = { result: 0, detail: '250 accepted' } as const
const refused = { result: 1, detail: '550 no such mailbox' } as const

/** Does these, one after the other, and notes the Message-IDs. */
function sender(
  ...outcomes: readonly (typeof accepted | typeof refused | Error)[]
): Send & { ids: string[] } {
  const ids: string[] = []
  const send: Send = async (_mail, messageId) => {
    const outcome = outcomes[ids.push(messageId) - 1]
    if (outcome === undefined) throw new Error('it was sent too often')
    if (outcome instanceof Error) throw outcome
    return outcome
  }
  return Object.assign(send, { ids })
}

for (const outcome of [accepted, refused])
  test(`what came of a mail (${outcome.detail}) is told to whoever asks again, and it is not sent again`, async () => {
    const send = sender(outcome)
    const mails = new Mails(pool, send)
    for (let times = 0; times < 2; times++) assert.deepEqual(await mails.sendOnce(mail), outcome)
    assert.deepEqual(await new Mails(pool, sender()).sendOnce(mail), outcome)
    assert.equal(send.ids.length, 1)
    const { askedAgain, sentAgain } = await mails.stats()
    assert.deepEqual([askedAgain, sentAgain], [2, 0])
  })

test('whoever asks while it is being sent waits for that', async () => {
  const { promise, resolve } = Promise.withResolvers<typeof accepted>()
  let begun = 0
  const mails = new Mails(pool, () => {
    begun++
    return promise
  })
  const asked = [mails.sendOnce(mail), mails.sendOnce(mail), mails.sendOnce(mail)]
  // The others are waiting, for each other or for the first.
  const isWaiting = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
  await waitFor(async () => (await database.pool.query(isWaiting)).rowCount === 2, { what: 'both to wait' })
  resolve(accepted)
  assert.deepEqual(await Promise.all(asked), [accepted, accepted, accepted])
  assert.equal(begun, 1)
})

test('one of which nothing is known is sent again under the same Message-ID, and counted', async () => {
  const send = sender(new Error('the connection broke'), accepted)
  const mails = new Mails(pool, send)
  await assert.rejects(mails.sendOnce(mail), /the connection broke/)
  assert.deepEqual(await mails.sendOnce(mail), accepted)
  assert.deepEqual(send.ids, ['g-1@coupon-mail.test', 'g-1@coupon-mail.test'])
  assert.equal((await mails.stats()).sentAgain, 1)
})

test('one whose sender has died in the middle is not waited for', async () => {
  const dead = new Mails(pool, () => new Promise(() => {}))
  const left = dead.sendOnce(mail)
  left.catch(() => {})
  const isLocked = `select from pg_stat_activity where datname = current_database() and state = 'idle in transaction'`
  await waitFor(async () => (await database.pool.query(isLocked)).rowCount === 1, {
    what: 'its row to be locked',
  })
  await database.killConnections(`state = 'idle in transaction'`)
  assert.deepEqual(await new Mails(pool, sender(accepted)).sendOnce(mail), accepted)
})
