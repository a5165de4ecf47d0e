import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { listMigrations, migrate, printMigrations } from '@milena/postgres'
import { Database } from '../src/database.ts'
import { openTestDatabase, type TestDatabase } from '../../../test/support/database.ts'

let database: TestDatabase
before(async () => void (database = await openTestDatabase()))
after(async () => database.close())

const all = listMigrations().map(({ name }) => name)

async function tablesOf(schema: string): Promise<string[]> {
  const { rows } = await database.pool.query<{ readonly name: string }>(
    `SELECT tablename AS name FROM pg_tables WHERE schemaname = $1 ORDER BY tablename`,
    [schema],
  )
  return rows.map(({ name }) => name)
}

test('migrations are numbered one after the other, each once', () => {
  const numbers = listMigrations().map(({ number }) => number)
  assert.deepEqual(
    numbers,
    [...new Set(numbers)].toSorted((a, b) => a - b),
  )
  assert.ok(all.includes('002-outbox'))
})

test('migrate applies what is missing, and then nothing', async () => {
  assert.deepEqual(await migrate(database.pool), all)
  assert.ok((await tablesOf('public')).includes('milena_outbox'))
  assert.deepEqual(await migrate(database.pool), [])
})

test('processes that migrate at once apply each migration once, into a schema that is made', async () => {
  const schema = 'of "its" own; $$'
  const pools = [1, 2, 3, 4].map(() => database.openPool())
  const applied = await Promise.all(pools.map((pool) => migrate(pool, { schema })))
  assert.deepEqual(applied.flat(), all)
  assert.deepEqual(await tablesOf(schema), await tablesOf('public'))
})

test('what is printed does the same', async () => {
  const schema = "it's"
  await database.pool.query(printMigrations({ schema }))
  assert.deepEqual(await tablesOf(schema), await tablesOf('public'))
  assert.deepEqual(await migrate(database.pool, { schema }), [])
})

test('a migration that fails leaves nothing behind', async () => {
  await database.pool.query('CREATE SCHEMA half; CREATE TABLE half.milena_outbox ()')
  await assert.rejects(migrate(database.pool, { schema: 'half' }), /milena_outbox/)
  assert.deepEqual(await tablesOf('half'), ['milena_outbox'])
})

test('who may not create anything can migrate where nothing is left to do', async () => {
  await migrate(database.pool)
  await database.pool.query(
    `CREATE ROLE milena_test_reader LOGIN PASSWORD 'x'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO milena_test_reader`,
  )
  const url = new URL(database.url)
  url.username = 'milena_test_reader'
  url.password = 'x'
  const pool = database.openPool({ connectionString: url.href })
  try {
    assert.deepEqual(await migrate(pool), [])
  } finally {
    await pool.end()
    await database.pool.query('DROP OWNED BY milena_test_reader; DROP ROLE milena_test_reader')
  }
})

test('a store that is used before says which migration is missing, and where', async () => {
  const missing = new Database({ pool: database.pool, schema: 'nowhere' }, '002-outbox')
  await assert.rejects(missing.query(`SELECT * FROM ${missing.table('milena_outbox')}`), {
    code: 'MILENA_NOT_MIGRATED',
    message: /002-outbox.*schema nowhere.*migrate\(pool/,
  })
  await assert.rejects(missing.query('SELECT * FROM theirs'), { code: '42P01' })
})

test('a schema that is no name is refused', async () => {
  for (const schema of ['', 'a\0b', 'x'.repeat(64)])
    await assert.rejects(migrate(database.pool, { schema }), { code: 'MILENA_OPTIONS_INVALID' })
})
