/** A database that does not answer: what is said of what it may have carried out. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { createApp, type App } from '@milena/hosting'
import type { Redis } from 'ioredis'
import type { Pool } from 'pg'
import { openTestDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { createTables } from '../src/database/database.ts'
import { createShops } from '../src/database/shops.ts'
import { ChangeStore } from '../src/requester/change-store.ts'
import { addChangeRoutes, addTriggerRoutes } from '../src/requester/routes.ts'
import { Triggers } from '../src/requester/triggers.ts'
import { TriggerStore } from '../src/requester/trigger-store.ts'
import { RedisLocks } from '../src/ways/redis-locks.ts'

let database: TestDatabase
/** Gives a statement up soon. */
let pool: Pool
let app: App
let asked: number

before(async () => {
  database = await openTestDatabase()
  await createTables(database.url)
  await createShops(database.pool, 10)
  pool = database.openPool({ query_timeout: 300 })
})
after(() => database.close())
beforeEach(async () => {
  asked = 0
  const store = new ChangeStore(pool)
  const counted = () => void asked++
  const requester = { request: counted, requestEach: counted } as never
  const triggers = new Triggers({ requester, operation: {} as never, store }, new TriggerStore(pool, 'r'))
  app = await createApp('Test', 'cut')
  addTriggerRoutes(app, triggers, {} as never)
  addChangeRoutes(app, triggers, store)
})

test('a trigger that may be noted or not has certainly not begun', async () => {
  const payload = { kind: 'bad-weather', action: 'begin', shops: ['shop-1'] }
  const answer = await database.whileLocked('triggers', () =>
    app.inject({ method: 'POST', url: '/triggers', payload }),
  )
  assert.deepEqual([answer.statusCode, asked], [503, 0])
  assert.match(answer.json<{ detail: string }>().detail, /nothing was begun/)
})

test('of a change that may be taken to be tried again nobody says that nothing was done', async () => {
  await database.pool.query(
    `insert into changes (id, trigger_id, shop, kind, action, status, requested_at)
     values ('t:shop-1', 't', 'shop-1', 'bad-weather', 'begin', 'failed', now())`,
  )
  const answer = await database.whileLocked('changes', () =>
    app.inject({ method: 'POST', url: '/changes/t:shop-1/retry' }),
  )
  assert.deepEqual([answer.statusCode, answer.json<{ code: string }>().code], [504, 'RETRY_UNKNOWN'])
  assert.equal(asked, 0)
})

test('under a lock in Redis a shop whose update has no answer is unknown, not failed', async () => {
  const redis = { set: async () => 'OK', eval: async () => 1 } as unknown as Redis
  const locks = new RedisLocks(redis, pool, { prefix: '', concurrency: 1 })
  const trigger = { number: 1, kind: 'bad-weather', action: 'begin', shops: ['shop-1'] } as const
  const result = await database.whileLocked('shops', () => locks.carryOut({ ...trigger, shops: ['shop-1'] }))
  assert.deepEqual(result, { made: [], refused: [], failed: [], unknown: ['shop-1'] })
})
