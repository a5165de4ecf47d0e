import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createSagas, defineSaga, inTransaction } from '@milena/request-reply'
import { migrate, postgresSagas } from '@milena/postgres'
import { describeSagaContract } from '../../request-reply/test/saga-contract.ts'
import type { PoolClient } from 'pg'
import { z } from 'zod'
import { openTestDatabase } from '../../../test/support/database.ts'

describeSagaContract('PostgreSQL', {
  short: 150,
  async open() {
    const database = await openTestDatabase()
    await migrate(database.pool)
    await database.pool.query('CREATE TABLE notes (text text)')
    return {
      store: postgresSagas({ pool: database.openPool({ max: 8 }) }),
      other: postgresSagas({ pool: database.openPool({ max: 8 }) }),
      async note(transaction, text) {
        await transaction.query('INSERT INTO notes VALUES ($1)', [text])
      },
      async notes() {
        const { rows } = await database.pool.query<{ readonly text: string }>('SELECT text FROM notes')
        return rows.map(({ text }) => text)
      },
      pass: sleep,
      close: () => database.close(),
    }
  },
})

test(
  'a step whose transaction the database refuses has failed; the store has no trouble',
  { timeout: 20_000 },
  async (t) => {
    await using database = await openTestDatabase()
    const { pool } = database
    await migrate(pool)
    await pool.query('CREATE TABLE owners (id int PRIMARY KEY)')
    await pool.query(
      'CREATE TABLE things (owner int REFERENCES owners DEFERRABLE INITIALLY DEFERRED, name text UNIQUE)',
    )
    await pool.query("INSERT INTO things VALUES (NULL, 'there')")
    const saga = defineSaga({ name: 'refused', input: z.object({ swallows: z.boolean() }) }).step(
      'written',
      inTransaction(async ({ input }, tx: PoolClient) => {
        if (input.swallows) await tx.query("INSERT INTO things VALUES (NULL, 'there')").catch(() => undefined)
        else await tx.query("INSERT INTO things VALUES (1, 'no owner')")
      }),
    )
    const sagas = createSagas({ store: postgresSagas({ pool }), sagas: [saga] })
    await sagas.start()
    t.after(() => sagas.close({ timeout: 0 }))
    const swallowed = await (await sagas.run(saga, 'one', { swallows: true })).ended
    assert.equal(swallowed.outcome, 'compensated')
    assert.match(swallowed.failure!.message, /a statement of it has failed, and the error was not passed on/)
    const deferred = await (await sagas.run(saga, 'two', { swallows: false })).ended
    assert.match(deferred.failure!.message, /cannot be committed: .*foreign key/)
    assert.equal(sagas.health().trouble, undefined)
  },
)
