import { after, before } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { migrate, postgresIdempotency, type PostgresTransaction } from '@milena/postgres'
import { describeIdempotencyKills } from '../../request-reply/test/idempotency-kills-contract.ts'
import { openTestDatabase, type TestDatabase } from '../../../test/support/database.ts'

let database: TestDatabase
before(async () => {
  database = await openTestDatabase()
  await migrate(database.pool)
  await database.pool.query('CREATE TABLE effects (what text)')
})
after(async () => database.close())

describeIdempotencyKills('PostgreSQL, in its transactions', {
  short: 300,
  open: async () => ({
    one: postgresIdempotency({ pool: database.openPool({ max: 4 }) }),
    two: postgresIdempotency({ pool: database.openPool({ max: 4 }) }),
    pass: sleep,
    close: async () => undefined,
    work: async (added, order) => {
      const { transaction } = added as PostgresTransaction
      await transaction.query('INSERT INTO effects VALUES ($1)', [order])
    },
    worked: async (order) => {
      const { rowCount } = await database.pool.query('SELECT 1 FROM effects WHERE what = $1', [order])
      return rowCount ?? 0
    },
  }),
})
