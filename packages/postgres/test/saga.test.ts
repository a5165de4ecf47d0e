import { setTimeout as sleep } from 'node:timers/promises'
import { migrate, postgresSagas } from '@milena/postgres'
import { describeSagaContract } from '../../request-reply/test/saga-contract.ts'
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
