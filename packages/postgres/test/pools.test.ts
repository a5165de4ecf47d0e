/** What every store makes of the pool that it is given. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  migrate,
  postgresIdempotency,
  postgresJournal,
  postgresOutbox,
  postgresSagas,
  printMigrations,
  type StoreOptions,
} from '@milena/postgres'
import { OptionsError } from '@milena/request-reply'
import { Pool } from 'pg'
import { openTestDatabase } from '../../../test/support/database.ts'
import { waitFor } from '../../../test/support/wait-for.ts'

const stores: readonly ((options: StoreOptions) => unknown)[] = [
  postgresIdempotency,
  postgresJournal,
  postgresOutbox,
  postgresSagas,
]

test('a restart of the database does not end the process by an idle connection', async () => {
  await using database = await openTestDatabase()
  const lost = async (use: (pool: Pool) => unknown): Promise<void> => {
    const pool = new Pool({ connectionString: database.url, idleTimeoutMillis: 0 })
    await use(pool)
    await use(pool)
    assert.equal(pool.listenerCount('error'), 1)
    await pool.query('SELECT')
    await database.killConnections()
    await waitFor(() => pool.totalCount === 0, { what: 'the connection to be lost' })
    assert.equal((await pool.query('SELECT 1 AS one')).rows.length, 1)
    await pool.end()
  }
  // oxlint-disable-next-line no-await-in-loop -- each kills all connections
  for (const open of [...stores, ({ pool }: StoreOptions) => migrate(pool)])
    await lost((pool) => open({ pool }))
})

test('options that cannot work are refused before anything is done, all of them at once', async () => {
  for (const open of stores) {
    const wrong = { pool: 'postgres://…', schema: '', scheme: 'milena' } as never
    assert.throws(
      () => open(wrong),
      (error: unknown) =>
        error instanceof OptionsError &&
        error.message.startsWith(`${open.name}: `) &&
        error.problems.length === 3 &&
        error.problems.includes('there is no option scheme'),
      open.name,
    )
    for (const none of [undefined, {}]) {
      assert.throws(() => open(none as never), { code: 'MILENA_OPTIONS_INVALID' }, open.name)
    }
  }
  // A name that was misspelt would be the schema public.
  const pool = new Pool()
  await assert.rejects(migrate(pool, { scheme: 'milena' } as never), { code: 'MILENA_OPTIONS_INVALID' })
  await assert.rejects(migrate(undefined as never), { code: 'MILENA_OPTIONS_INVALID' })
  assert.throws(() => printMigrations({ after: '2' } as never), { code: 'MILENA_OPTIONS_INVALID' })
  assert.throws(() => printMigrations({ scheme: 'x' } as never), { code: 'MILENA_OPTIONS_INVALID' })
  await pool.end()
})
