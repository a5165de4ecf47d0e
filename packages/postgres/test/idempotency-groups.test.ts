/** Steps of many keys at once, outside of transactions: what shares a statement, and what does not suffer for it. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { Claim, ClaimOptions, IdempotencyId, StoredOutcome } from '@milena/request-reply'
import { migrate, postgresIdempotency } from '@milena/postgres'
import type { Pool } from 'pg'
import { openTestDatabase, type TestDatabase } from '../../../test/support/database.ts'

let database: TestDatabase
before(async () => {
  database = await openTestDatabase()
  await migrate(database.pool)
})
after(async () => database.close())

const reply: StoredOutcome = { kind: 'reply', value: Buffer.from('reply'), headers: [] }
const hour = 3_600_000
const claiming: ClaimOptions = { fingerprint: 'a'.repeat(64), owner: 'o', lease: hour, ttl: hour }

function someIds(count: number): IdempotencyId[] {
  return Array.from({ length: count }, () => ({ scope: 's', key: randomUUID() }))
}

function tokenOf(claim: Claim): number {
  assert.equal(claim.kind, 'claimed')
  return (claim as { readonly token: number }).token
}

type Query = (...given: unknown[]) => Promise<unknown>

/** Every query of the pool goes through this. */
function intercept(pool: Pool, through: (query: () => Promise<unknown>) => Promise<unknown>): void {
  const query = pool.query.bind(pool) as Query
  pool.query = ((...given: unknown[]) => through(() => query(...given))) as never
}

test('steps of many keys that come together are one statement of each kind', async () => {
  const pool = database.openPool()
  let statements = 0
  intercept(pool, (query) => (statements++, query()))
  const store = postgresIdempotency({ pool, transactions: false })
  const ids = someIds(100)
  const tokens = (await Promise.all(ids.map((id) => store.claim(id, claiming)))).map(tokenOf)
  assert.equal(new Set(tokens).size, 100)
  const held = await Promise.all(ids.map((id, place) => store.renew(id, tokens[place]!, hour)))
  assert.deepEqual(new Set(held), new Set([true]))
  const [stored, released] = [ids.slice(0, 50), ids.slice(50)]
  const done = await Promise.all(
    stored.map((id, place) =>
      store.complete(id, tokens[place]!, { ...reply, value: Buffer.from(id.key) }, hour),
    ),
  )
  assert.deepEqual(new Set(done), new Set(['completed']))
  await Promise.all(released.map((id, place) => store.release(id, tokens[50 + place]!, place % 2 === 0)))
  assert.equal(statements, 5)
  for (const id of stored) {
    const found = await store.find(id)
    assert.ok(found.kind === 'stored' && found.outcome.kind === 'reply')
    assert.equal(String(found.outcome.value), id.key)
  }
  for (const [place, id] of released.entries())
    assert.equal((await store.find(id)).kind, place % 2 === 0 ? 'released' : 'nothing')
})

test('of keys that two processes claim at once, in opposite orders, each is one’s', async () => {
  const stores = [1, 2].map(() => postgresIdempotency({ pool: database.openPool(), transactions: false }))
  for (let round = 0; round < 20; round++) {
    const ids = someIds(50)
    const both = await Promise.all([
      Promise.all(ids.map((id) => stores[0]!.claim(id, claiming))),
      Promise.all(ids.toReversed().map((id) => stores[1]!.claim(id, claiming))),
    ])
    for (const [place, { kind }] of both[0].entries()) {
      const kinds = new Set([kind, both[1].at(-1 - place)!.kind])
      assert.deepEqual(kinds, new Set(['claimed', 'running']))
    }
  }
})

test('what PostgreSQL refuses costs only the one that is at fault', async () => {
  const store = postgresIdempotency({ pool: database.openPool(), transactions: false })
  const [first, last] = someIds(2) as [IdempotencyId, IdempotencyId]
  const wrong = { scope: 's', key: 'no text for PostgreSQL: \0' }
  const claims = await Promise.allSettled([first, wrong, last].map((id) => store.claim(id, claiming)))
  assert.deepEqual(
    claims.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
  for (const id of [first, last]) assert.equal((await store.find(id)).kind, 'running')
})

test('a row that somebody has locked holds up its own key, and no other', async () => {
  const store = postgresIdempotency({ pool: database.openPool(), transactions: false })
  const [locked, other] = someIds(2) as [IdempotencyId, IdempotencyId]
  const tokens = new Map<IdempotencyId, number>()
  for (const id of [locked, other]) tokens.set(id, tokenOf(await store.claim(id, claiming)))
  const somebody = await database.pool.connect()
  try {
    await somebody.query('BEGIN')
    await somebody.query('UPDATE milena_idempotency SET owner = owner WHERE key = $1', [locked.key])
    let isOver = false
    const steps = async (id: IdempotencyId): Promise<string> => {
      await store.claim(id, claiming)
      await store.renew(id, tokens.get(id)!, hour)
      return store.complete(id, tokens.get(id)!, reply, hour)
    }
    const waits = steps(locked).finally(() => (isOver = true))
    for (let round = 0; round < 3; round++) assert.equal(await steps(other), 'completed')
    assert.equal(isOver, false)
    await somebody.query('COMMIT')
    assert.equal(await waits, 'completed')
  } finally {
    somebody.release()
  }
})

test('a store that hangs rejects in time, and is asked anew', async () => {
  const pool = database.openPool()
  let hangs = true
  intercept(pool, (query) => (hangs ? new Promise(() => undefined) : query()))
  const store = postgresIdempotency({ pool, transactions: false, timeout: 1_000 })
  const [one, two] = someIds(2) as [IdempotencyId, IdempotencyId]
  await assert.rejects(store.claim(one, claiming), /not answered within 1000 ms/)
  hangs = false
  tokenOf(await store.claim(two, claiming))
})
