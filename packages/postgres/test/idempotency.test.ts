import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'pg'
import type { ClaimOptions, IdempotencyId, StoredOutcome } from '@milena/request-reply'
import { migrate, postgresIdempotency } from '@milena/postgres'
import { describeIdempotencyContract } from '../../request-reply/test/idempotency-contract.ts'
import { openTestDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { waitFor } from '../../../test/support/wait-for.ts'

let database: TestDatabase
before(async () => {
  database = await openTestDatabase()
  await migrate(database.pool)
  await database.pool.query('CREATE TABLE effects (id text, what text)')
})
after(async () => database.close())

describeIdempotencyContract('PostgreSQL', {
  short: 200,
  open: async () => ({
    one: postgresIdempotency({ pool: database.openPool({ max: 4 }), cleanInterval: 0 }),
    two: postgresIdempotency({ pool: database.openPool({ max: 4 }), cleanInterval: 0 }),
    pass: sleep,
    close: async () => undefined,
  }),
})

const reply: StoredOutcome = { kind: 'reply', value: Buffer.from('reply'), headers: [] }
const hour = 3_600_000
const someId = (): IdempotencyId => ({ scope: 's', key: randomUUID() })

function claiming(lease = hour): ClaimOptions {
  return { fingerprint: 'a'.repeat(64), owner: 'o', lease, ttl: hour }
}

async function effectsOf({ key }: IdempotencyId): Promise<string[]> {
  const { rows } = await database.pool.query<{ readonly what: string }>(
    'SELECT what FROM effects WHERE id = $1',
    [key],
  )
  return rows.map(({ what }) => what)
}

async function claimed(
  store: ReturnType<typeof postgresIdempotency>,
  id: IdempotencyId,
  lease?: number,
): Promise<number> {
  const claim = await store.claim(id, claiming(lease))
  assert.equal(claim.kind, 'claimed')
  return (claim as { readonly token: number }).token
}

const insert = 'INSERT INTO effects VALUES ($1, $2)'

test('effect and outcome are committed together', async () => {
  const store = postgresIdempotency({ pool: database.openPool() })
  const id = someId()
  const token = await claimed(store, id)
  const transaction = await store.begin()
  await transaction.added.transaction.query(insert, [id.key, 'done'])
  assert.deepEqual(await effectsOf(id), [])
  assert.equal((await store.find(id)).kind, 'running')
  assert.equal(await store.renew(id, token, hour), true, 'renewed while the handler works')
  assert.equal(await transaction.complete(id, token, reply, hour), 'completed')
  assert.deepEqual(await effectsOf(id), ['done'])
  assert.equal((await store.find(id)).kind, 'stored')
})

test('of a transaction that is fenced, or rolled back, nothing remains', async () => {
  const store = postgresIdempotency({ pool: database.openPool({ max: 3 }) })
  const id = someId()
  const dead = await claimed(store, id, 50)
  const zombie = await store.begin()
  await zombie.added.transaction.query(insert, [id.key, 'zombie'])
  await waitFor(async () => (await store.find(id)).kind === 'lapsed', { what: 'the end of the lease' })
  const token = await claimed(store, id)
  assert.equal(await zombie.complete(id, dead, reply, hour), 'fenced')
  const given = await store.begin()
  await given.added.transaction.query(insert, [id.key, 'given up'])
  await given.rollback()
  await given.rollback()
  const owner = await store.begin()
  await owner.added.transaction.query(insert, [id.key, 'owner'])
  assert.equal(await owner.complete(id, token, reply, hour), 'completed')
  assert.deepEqual(await effectsOf(id), ['owner'])
})

test('a handler that goes on after its transaction writes into nobody else’s', async () => {
  const pool = database.openPool({ max: 1 })
  const store = postgresIdempotency({ pool })
  const id = someId()
  const first = await store.begin()
  const { transaction } = first.added
  assert.throws(() => transaction.release(), /do not release/)
  await first.rollback()
  const second = await store.begin()
  await assert.rejects(transaction.query(insert, [id.key, 'late']), /is over/)
  await second.rollback()
  assert.deepEqual(await effectsOf(id), [])
})

/**
 * A process that is killed between any two steps: its connections end, and what they had not committed. Its successor
 * claims when the lease is over, and does the work exactly if it is not done.
 */
const steps = ['claimed', 'renewed', 'begun', 'worked', 'completed'] as const
for (const killedAfter of steps) {
  test(`killed when it had ${killedAfter}: the work is done once, and its outcome stored`, async () => {
    const name = `killed-${killedAfter}`
    const pool = database.openPool({ application_name: name })
    const dying = postgresIdempotency({ pool })
    const id = someId()
    const kill = async (step: (typeof steps)[number]): Promise<void> => {
      if (step !== killedAfter) return
      await database.killConnections(`application_name = '${name}'`)
      throw new Error('killed')
    }
    const process = async (): Promise<void> => {
      const token = await claimed(dying, id, 100)
      await kill('claimed')
      await dying.renew(id, token, 100)
      await kill('renewed')
      const transaction = await dying.begin()
      try {
        await kill('begun')
        await transaction.added.transaction.query(insert, [id.key, 'work'])
        await kill('worked')
        await transaction.complete(id, token, reply, hour)
        await kill('completed')
      } finally {
        await transaction.rollback() // gives its dead connection back
      }
    }
    await assert.rejects(process(), /killed/)
    const store = postgresIdempotency({ pool: database.pool })
    const claim = await waitFor(
      async () => {
        const next = await store.claim(id, claiming())
        return next.kind === 'running' ? undefined : next
      },
      { what: 'the end of the lease' },
    )
    assert.equal(claim.kind, killedAfter === 'completed' ? 'stored' : 'claimed')
    if (claim.kind === 'claimed') {
      assert.equal(claim.again, true)
      const transaction = await store.begin()
      await transaction.added.transaction.query(insert, [id.key, 'work'])
      assert.equal(await transaction.complete(id, claim.token, reply, hour), 'completed')
    }
    assert.deepEqual(await effectsOf(id), ['work'])
    assert.equal((await store.find(id)).kind, 'stored')
  })
}

test('a connection that ends before the commit rejects it, and commits nothing', async () => {
  const pool = database.openPool({ application_name: 'ends' })
  const store = postgresIdempotency({ pool })
  const id = someId()
  const token = await claimed(store, id)
  const transaction = await store.begin()
  await transaction.added.transaction.query(insert, [id.key, 'work'])
  await database.killConnections(`application_name = 'ends'`)
  await assert.rejects(transaction.complete(id, token, reply, hour))
  assert.deepEqual(await effectsOf(id), [])
  assert.equal((await store.find(id)).kind, 'running')
})

test('what is over is forgotten in rounds, and the store says since when it knows', async () => {
  const schema = 'cleaned'
  await migrate(database.pool, { schema })
  const store = postgresIdempotency({ pool: database.pool, schema })
  const ids = Array.from({ length: 5 }, someId)
  for (const id of ids) await store.complete(id, await claimed(store, id), reply, 1)
  const kept = someId()
  await claimed(store, kept)
  await sleep(5)
  assert.equal(await store.clean(), 5)
  assert.equal(await store.clean(), 0)
  assert.equal((await store.find(kept)).kind, 'running')
  const found = await store.find(ids[0]!)
  assert.ok(found.kind === 'nothing' && found.knowsSince !== undefined)
  const { rows } = await database.pool.query<{ readonly now: number }>(
    'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now',
  )
  assert.ok(rows[0]!.now - found.knowsSince < 60_000)
})

test('without a pool it is refused at once', () => {
  assert.throws(() => postgresIdempotency({ pool: undefined as unknown as Pool }), {
    code: 'MILENA_OPTIONS_INVALID',
    message: /pool.* must be a Pool of pg/s,
  })
})

test('before its migration it says which one', async () => {
  const store = postgresIdempotency({ pool: database.pool, schema: 'nowhere' })
  await assert.rejects(store.find(someId()), { code: 'MILENA_NOT_MIGRATED', message: /001-idempotency/ })
  assert.throws(() => postgresIdempotency({ pool: database.pool, other: 1 } as never), /no option other/)
})
