/** The gifts: stored with their command or not at all, and ended by what comes back. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { connectDatabase, createApp, Watching } from '@milena/hosting'
import { postgresOutbox, type Outbox } from '@milena/postgres'
import type { Pool } from 'pg'
import { openTestDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { addGiftRoutes } from '../src/coupon/gift-routes.ts'
import { Gifts } from '../src/coupon/gifts.ts'
import type { GiftRequest } from '../src/coupon/schemas.ts'
import { applySchema } from '../src/databases.ts'
import { defineMessages, type Result } from '../src/messages.ts'

const messages = defineMessages('')
let database: TestDatabase
let pool: Pool
let outbox: Outbox
let gifts: Gifts
before(async () => {
  database = await openTestDatabase()
  await applySchema(database.url, 'coupon')
  pool = await connectDatabase(database.url, { max: 4 })
  outbox = postgresOutbox({ pool })
  gifts = new Gifts(pool, outbox, messages)
})
after(async () => {
  await pool.end()
  await database.close()
})

const cake = { id: 'cake', title: 'A piece of cake' }

function request(giftId: string): GiftRequest {
  return { giftId, recipient: 'kim@example.test', message: '', partner: false }
}

async function state(id: string): Promise<string | undefined> {
  return (await gifts.find(id))?.state
}

/** As a relay does with what it has sent. */
function relay(): Promise<unknown> {
  return pool.query('delete from milena_outbox')
}

async function reply(id: string, result: Result | undefined, trouble?: string): Promise<void> {
  const { rows } = await pool.query<{ id: string }>(
    `select encode(correlation_id, 'hex') as id from gifts where id = $1`,
    [id],
  )
  await gifts.settle({ correlationId: rows[0]!.id, result, trouble, topic: 'SEND_MAIL_REPLY', headers: {} })
}

test('a gift whose command cannot be written is not there either', async () => {
  const broken = { ...outbox, add: () => Promise.reject(new Error('no room')) } as Outbox
  await assert.rejects(new Gifts(pool, broken, messages).give(cake, request('lost')), /no room/)
  assert.equal(await state('lost'), undefined)
})

for (const [result, end] of [
  [0, 'sent'],
  [1, 'failed'],
] as const)
  test(`a gift is stored, then requested when its command is sent, then ${end} by the result ${result}`, async () => {
    assert.equal((await gifts.give(cake, request(end)))!.state, 'stored')
    await relay()
    assert.equal(await state(end), 'requested')
    await reply(end, result)
    assert.equal(await state(end), end)
    // A reply that comes again, even another one.
    await reply(end, result === 0 ? 1 : 0)
    await reply(end, undefined, 'given up')
    assert.equal(await state(end), end)
  })

test('when the worker has given up it is unknown, and why; a result that comes later ends it', async () => {
  await gifts.give(cake, request('given-up'))
  await relay()
  await reply('given-up', undefined, 'MILENA_DEAD_LETTERED: the Mail API is away')
  const { state: now, trouble, endedAt } = (await gifts.find('given-up'))!
  assert.deepEqual([now, endedAt], ['unknown', undefined])
  assert.match(trouble!, /DEAD_LETTERED/)
  await reply('given-up', 0)
  assert.equal(await state('given-up'), 'sent')
})

test('a gift that is given again writes no second command; with other content it is none', async () => {
  await relay()
  const first = await gifts.give(cake, request('again'))
  assert.deepEqual(await gifts.give(cake, request('again')), first)
  assert.equal(await gifts.give(cake, { ...request('again'), message: 'other' }), undefined)
  assert.equal((await outbox.backlog()).pending, 1)
})

test('pages go on where the last one has ended, also of one state', async () => {
  const before = (await gifts.list(undefined, '0', 500)).gifts.length
  for (const id of ['p-1', 'p-2', 'p-3']) await gifts.give(cake, request(id))
  const seen: string[] = []
  for (let after = '0'; ;) {
    const { gifts: page, next } = await gifts.list(undefined, after, 2)
    seen.push(...page.map(({ giftId }) => giftId))
    if (next === undefined) break
    after = new URLSearchParams(next.split('?')[1]).get('after')!
  }
  assert.equal(seen.length, before + 3)
  assert.deepEqual(seen.slice(-3), ['p-1', 'p-2', 'p-3'])
  const { gifts: stored, next } = await gifts.list('stored', '0', 1)
  assert.equal(stored[0]!.state, 'stored')
  assert.match(next!, /^\/gifts\?state=stored&limit=1&after=\d+$/)
})

test('a gift of which the database does not say whether it is stored has a name to ask for, and to send again', async (t) => {
  t.mock.method(console, 'error', () => {})
  const app = await createApp('Test', 'cut')
  t.after(() => app.close())
  const hasty = database.openPool({ query_timeout: 300 })
  addGiftRoutes(app, new Gifts(hasty, outbox, messages), new Watching(50))
  const give = (payload: object) => app.inject({ method: 'POST', url: '/coupons/cake/gift', payload })
  const hung = await database.whileLocked('gifts', () => give({ recipient: 'kim@example.test' }))
  const { code, giftId } = hung.json<{ code: string; giftId: string }>()
  assert.deepEqual([hung.statusCode, code], [504, 'GIFT_UNKNOWN'])
  const again = await give({ recipient: 'kim@example.test', giftId })
  assert.deepEqual([again.statusCode, again.json<{ giftId: string }>().giftId], [202, giftId])
})
