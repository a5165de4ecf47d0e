import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { ReplyError } from '@milena/request-reply'
import type { Pool } from 'pg'
import { openTestDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { connect } from '../src/database/connect.ts'
import { createTables } from '../src/database/database.ts'
import { createShops, readShops } from '../src/database/shops.ts'
import type { Changed } from '../src/domain/messages.ts'
import type { Kind } from '../src/domain/radius.ts'
import { applyChanges, type AskedChange } from '../src/worker/changes.ts'

let database: TestDatabase
let pool: Pool

before(async () => {
  database = await openTestDatabase()
  await createTables(database.url)
  pool = await connect(database.url, 4)
})
after(async () => {
  await pool.end()
  await database.close()
})
beforeEach(() => createShops(pool, 1_000))

function begin(shop: number, offset: number, kind: Kind = 'bad-weather', partition = 0): AskedChange {
  return { shop: `shop-${shop}`, kind, action: 'begin', partition, offset }
}

function end(shop: number, offset: number, kind: Kind = 'bad-weather'): AskedChange {
  return { ...begin(shop, offset, kind), action: 'end' }
}

/** A change of each shop by itself, one after the other. */
async function inOrder(...asked: AskedChange[]): Promise<(Changed | string)[]> {
  const replies: (Changed | string)[] = []
  for (const each of asked) replies.push(...short(await applyChanges(pool, [each])))
  return replies
}

/** Errors by their codes. */
function short(replies: readonly (Changed | Error)[]): (Changed | string)[] {
  return replies.map((reply) => (reply instanceof Error ? codeOf(reply) : reply))
}

function codeOf(error: Error): string {
  assert.ok(error instanceof ReplyError)
  return error.code
}

test('each change of a batch has an outcome of its own, in the order in which they were given', async () => {
  await inOrder(begin(2, 1))
  const replies = await applyChanges(pool, [begin(1, 2), begin(2, 3), begin(5_000, 4), end(3, 5)])
  assert.deepEqual(short(replies), [
    { shop: 'shop-1', radius: 1_200, changes: 1 },
    'ALREADY_ACTIVE',
    'SHOP_UNKNOWN',
    'NOT_ACTIVE',
  ])
  // Nothing was done for those, and their callers may know it.
  for (const reply of replies.slice(1)) assert.equal((reply as ReplyError).effect, 'none')
  const shops = await readShops(pool)
  assert.equal(shops.get('shop-1')!.radius, 1_200)
  assert.equal(shops.get('shop-3')!.radius, 3_000)
})

test('the change that came last counts, and when it ends the one before it', async () => {
  const both = [begin(1, 1, 'rider-shortage'), begin(1, 2, 'system-failure'), end(1, 3, 'system-failure')]
  const radii = (await inOrder(...both)).map((reply) => (reply as Changed).radius)
  assert.deepEqual(radii, [1_800, 300, 1_800])
  assert.deepEqual((await readShops(pool)).get('shop-1')!.active, ['rider-shortage'])
})

test('a change that comes again is not made again, and gets the answer that it got', async () => {
  const all = [begin(1, 1), begin(1, 2), end(1, 3), begin(1, 4, 'rider-shortage')]
  const first = await inOrder(...all)
  const shops = await readShops(pool)
  // As after a crash: in order, from one that was done long ago. A refused one would be possible by now.
  assert.deepEqual(await inOrder(...all), first)
  assert.equal(first[1], 'ALREADY_ACTIVE')
  assert.deepEqual(await readShops(pool), shops)
})

test('a change that comes again after many others of its shop is not made again', async () => {
  const all = Array.from({ length: 6 }, (_, n) => [begin(1, 2 * n), end(1, 2 * n + 1)]).flat()
  await inOrder(...all)
  const [reply] = await applyChanges(pool, [all[0]!])
  assert.ok(reply instanceof ReplyError)
  assert.equal(reply.code, 'ANSWERED_BEFORE')
  assert.equal(reply.effect, 'unknown')
  assert.equal((await readShops(pool)).get('shop-1')!.changes, 12)
})

test('of two workers that hold the same changes, one makes each', async () => {
  const asked = Array.from({ length: 1_000 }, (_, n) => begin(n + 1, n))
  const answers = await Promise.all([applyChanges(pool, asked), applyChanges(pool, asked)])
  assert.deepEqual(answers[0], answers[1])
  for (const { changes } of (await readShops(pool)).values()) assert.equal(changes, 1)
})

test('a worker that was paused does not overwrite what its successor has written since', async () => {
  const stalled = await connect(database.url, 1)
  try {
    // It has read the shop, and is held up before it writes.
    const query = stalled.query.bind(stalled) as (sql: unknown, values?: unknown) => Promise<unknown>
    const written = Promise.withResolvers<void>()
    const stopped = Promise.withResolvers<void>()
    let queries = 0
    Object.assign(stalled, {
      query: async (sql: unknown) => {
        if (++queries === 2) {
          stopped.resolve()
          await written.promise
        }
        return query(sql)
      },
    })
    const late = applyChanges(stalled, [begin(1, 1)])
    await stopped.promise
    await inOrder(begin(1, 1), begin(1, 2, 'rider-shortage'), end(1, 3))
    written.resolve()
    assert.deepEqual(await late, [{ shop: 'shop-1', radius: 1_200, changes: 1 }])
    assert.ok(queries > 2, 'it has written and found out')
    const shop = (await readShops(pool)).get('shop-1')!
    assert.deepEqual([shop.active, shop.appliedOffset, shop.changes], [['rider-shortage'], 3, 3])
  } finally {
    await stalled.end()
  }
})

test('offsets of another partition say nothing of what was done', async () => {
  await inOrder(begin(1, 100), begin(1, 5, 'rider-shortage', 1))
  assert.deepEqual((await readShops(pool)).get('shop-1')!.active, ['bad-weather', 'rider-shortage'])
})
