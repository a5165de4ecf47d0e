/** The accounts: each movement once, in whatever order requests and cancellations come; and the auditor, who sees when not. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { inTransaction } from '@milena/hosting'
import type { Pool } from 'pg'
import { openTestDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { bank, Ledger, type Movement } from '../src/account/ledger.ts'
import { problemsOfBooks } from '../src/audit/conservation.ts'
import { readBooks, readEffects } from '../src/audit/reading.ts'
import { connect } from '../src/database/connect.ts'
import { applySchema } from '../src/database/databases.ts'
import type { Cancelled, MovementKind } from '../src/operations.ts'

let database: TestDatabase
let pool: Pool
let ledger: Ledger

before(async () => {
  database = await openTestDatabase()
  await applySchema(database.url, 'krw-account')
  pool = await connect(database.url, 8)
  ledger = new Ledger(pool)
})
beforeEach(async () => {
  await pool.query('truncate accounts, movements, entries')
  await ledger.open(['c', 'd'], ['KRW'], { customer: 1_000, bank: 5_000 })
})
after(async () => {
  await pool.end()
  await database.close()
})

const withdrawal: Movement = {
  exchangeId: 'x',
  kind: 'withdrawal',
  customerId: 'c',
  currency: 'KRW',
  amount: 300,
}
const deposit: Movement = { ...withdrawal, kind: 'deposit' }

function cancel(kind: MovementKind): Promise<Cancelled> {
  return inTransaction(pool, (tx) => ledger.cancel(tx, 'x', kind))
}

async function balance(owner: string): Promise<number> {
  return (await ledger.balances(owner))[0]!.balance
}

async function problems(): Promise<readonly string[]> {
  return problemsOfBooks(await readBooks(pool, 'krw-account'))
}

test('what a customer gives the bank gets, and the reverse', async () => {
  assert.deepEqual(await ledger.move(withdrawal), { state: 'done', again: false })
  assert.deepEqual([await balance('c'), await balance(bank)], [700, 5_300])
  assert.deepEqual(await ledger.move({ ...deposit, amount: 50 }), { state: 'done', again: false })
  assert.deepEqual([await balance('c'), await balance(bank)], [750, 5_250])
  assert.deepEqual(await problems(), [])
})

test('a movement that comes again, at the same time or later, moves nothing more', async () => {
  const moved = await Promise.all(Array.from({ length: 5 }, () => ledger.move(withdrawal)))
  assert.equal(moved.filter((one) => one.state === 'done' && !one.again).length, 1)
  assert.deepEqual(await ledger.move(withdrawal), { state: 'done', again: true })
  assert.equal(await balance('c'), 700)
})

test('the same exchange with another content is refused', async () => {
  await ledger.move(withdrawal)
  for (const other of [{ amount: 301 }, { customerId: 'd' }])
    assert.deepEqual(await ledger.move({ ...withdrawal, ...other }), { state: 'conflict' })
})

test('more than there is, and accounts that are not there, are refused for good', async () => {
  const much = { ...withdrawal, amount: 1_001 }
  assert.deepEqual(await ledger.move(much), { state: 'refused', reason: 'INSUFFICIENT_FUNDS' })
  await ledger.move({ ...deposit, exchangeId: 'y', amount: 500 })
  assert.deepEqual(await ledger.move(much), { state: 'refused', reason: 'INSUFFICIENT_FUNDS' })
  const stranger = { ...withdrawal, exchangeId: 'z', customerId: 'stranger' }
  assert.deepEqual(await ledger.move(stranger), { state: 'refused', reason: 'NO_SUCH_ACCOUNT' })
  const own = { ...withdrawal, exchangeId: 'b', customerId: bank }
  assert.deepEqual(await ledger.move(own), { state: 'refused', reason: 'NO_SUCH_ACCOUNT' })
  assert.deepEqual(await problems(), [])
})

test('withdrawals at the same time do not take more than there is', async () => {
  const moved = await Promise.all(
    Array.from({ length: 6 }, (_, index) => ledger.move({ ...withdrawal, exchangeId: `x-${index}` })),
  )
  assert.equal(moved.filter(({ state }) => state === 'done').length, 3)
  assert.equal(await balance('c'), 100)
})

for (const movement of [withdrawal, deposit])
  test(`a ${movement.kind} is undone once, however often that is asked for`, async () => {
    await ledger.move(movement)
    const cancelled = await Promise.all(Array.from({ length: 4 }, () => cancel(movement.kind)))
    for (const one of cancelled) assert.deepEqual(one, { exchangeId: 'x', outcome: 'undone' })
    assert.deepEqual([await balance('c'), await balance(bank)], [1_000, 5_000])
    assert.deepEqual(await readEffects(pool), [])
    assert.deepEqual(await ledger.move(movement), { state: 'cancelled' })
    assert.deepEqual(await problems(), [])
  })

test('a movement that comes after its cancellation is refused', async () => {
  assert.deepEqual(await cancel('deposit'), { exchangeId: 'x', outcome: 'nothing' })
  assert.deepEqual(await ledger.move(deposit), { state: 'cancelled' })
  assert.deepEqual(await cancel('deposit'), { exchangeId: 'x', outcome: 'nothing' })
  assert.equal(await balance('c'), 1_000)
})

test('whichever of a movement and its cancellation comes first, nothing is left of it', async () => {
  for (let round = 0; round < 20; round++) {
    const exchangeId = `x-${round}`
    await Promise.all([
      ledger.move({ ...deposit, exchangeId }),
      inTransaction(pool, (tx) => ledger.cancel(tx, exchangeId, 'deposit')),
    ])
  }
  assert.equal(await balance('c'), 1_000)
  assert.deepEqual(await problems(), [])
})

test('a cancellation of what was refused moves nothing', async () => {
  await ledger.move({ ...withdrawal, amount: 1_001 })
  for (let times = 0; times < 2; times++)
    assert.deepEqual(await cancel('withdrawal'), { exchangeId: 'x', outcome: 'nothing' })
  assert.equal(await balance('c'), 1_000)
})

test('a cancellation is part of its transaction', async () => {
  await ledger.move(withdrawal)
  const given = inTransaction(pool, async (tx) => {
    await ledger.cancel(tx, 'x', 'withdrawal')
    throw new Error('its reply could not be stored')
  })
  await assert.rejects(given, /could not be stored/)
  assert.equal(await balance('c'), 700)
  assert.deepEqual(await cancel('withdrawal'), { exchangeId: 'x', outcome: 'undone' })
  assert.equal(await balance('c'), 1_000)
})

for (const [what, sql, said] of [
  ['a balance', `update accounts set balance = balance - 1 where owner = 'c'`, /KRW began with 7000 .*: -1/],
  ["one side's entry", `delete from entries where owner = 'bank'`, /has 1 entries that add up to -300/],
  [
    'an entry and what it did to the balance',
    `with lost as (delete from entries where owner = 'c' returning *)
    update accounts set balance = balance - lost.amount from lost where accounts.owner = 'c'`,
    /began with 7000 and is now 7300/,
  ],
  [
    'money between two customers',
    `update accounts set balance = balance + case owner when 'c' then -5 else 5 end where owner in ('c', 'd')`,
    /c has 695 KRW; the entries say 700/,
  ],
] as const)
  test(`the auditor sees that ${what} was changed`, async () => {
    await ledger.move(withdrawal)
    await pool.query(sql)
    assert.match((await problems()).join('\n'), said)
  })
