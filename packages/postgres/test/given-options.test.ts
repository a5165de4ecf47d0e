/** Every function of the package that takes options refuses what is wrong with them, in its own words. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type * as package_ from '@milena/postgres'
import * as all from '@milena/postgres'
import {
  defineOperation,
  isMilenaError,
  OptionsError,
  springProfile,
  string,
  systemClock,
} from '@milena/request-reply'
import { createMemoryBroker } from '@milena/request-reply/testing'
import { Client, Pool } from 'pg'
import {
  functionsOf,
  methodsOf,
  refuseUnlisted,
  refuseWrongOptions,
  takes,
  type TakesOptions,
} from '../../../test/support/given-options.ts'

// Nobody listens there, and nobody connects before something is asked.
const pool = new Pool({ host: '127.0.0.1', port: 1 })
const schema = 'public'
const clock = systemClock
const say = defineOperation({ name: 'say', topic: 'a', request: string() })
// A client that says at once that there is nobody.
const tx = Object.assign(new Client(), { query: () => Promise.reject(new Error('away')) })
const outbox = all.postgresOutbox({ pool })
const transport = createMemoryBroker({ clock }).connect()

const table: readonly TakesOptions[] = [
  takes<package_.PostgresIdempotencyOptions>('postgresIdempotency', all.postgresIdempotency, {
    pool,
    schema,
    pace: 0,
    prepared: false,
    cleanInterval: 0,
    transactions: true,
    timeout: 1_000,
    clock,
  }),
  takes<package_.PostgresJournalOptions>('postgresJournal', all.postgresJournal, {
    pool,
    schema,
    pace: 0,
    prepared: false,
    lease: 1_000,
    timeout: 1_000,
  }),
  takes<package_.OutboxOptions>('postgresOutbox', all.postgresOutbox, {
    pool,
    schema,
    notify: false,
    profile: springProfile,
  }),
  takes<package_.StoreOptions>('postgresSagas', all.postgresSagas, { pool, schema }),
  takes<package_.MigrateOptions>(
    'migrate',
    (options) => all.migrate(pool, options).catch(unlessAway),
    { schema },
    { optional: true },
  ),
  takes<package_.PrintOptions>(
    'printMigrations',
    all.printMigrations,
    { schema, after: 0 },
    { optional: true },
  ),
  takes<package_.GroupCommitOptions<string, void>>('GroupCommit', (options) => new all.GroupCommit(options), {
    idOf: (step: string) => step,
    carryOut: () => Promise.resolve([]),
    pace: 0,
    timeout: 1_000,
    bytesOf: () => 0,
    clock,
  }),
  takes<package_.OutboxAddOptions>(
    'outbox.add',
    (options) => outbox.add(tx, say, 'hello', options).catch(unlessAway),
    {
      headers: { a: 'b' },
      key: 'a',
      partition: 0,
      replyTo: { topic: 'b' },
      correlationId: Buffer.alloc(16),
      idempotencyKey: 'a',
      deadline: 4e12,
    },
    { optional: true },
  ),
  takes<package_.RelayOptions>(
    'outbox.relay',
    (options) => outbox.relay(options),
    {
      kafka: { brokers: ['127.0.0.1:1'] },
      transport,
      pollInterval: 1_000,
      claimTimeout: 5_000,
      maxKeys: 1,
      maxBytes: 1_000,
      sendTimeout: 1_000,
      maxPause: 1_000,
      keep: 0,
      clock,
    },
    { apart: ['kafka'] },
  ),
]

refuseUnlisted('index.ts', [...functionsOf(all), ...methodsOf('outbox', outbox)], table, [
  'listMigrations',
  'outbox.backlog',
])
refuseWrongOptions(table, {
  isRefusal: (error) => isMilenaError(error) && error.code === 'MILENA_OPTIONS_INVALID',
  isOwn: isMilenaError,
})

test('a pool that is none is refused by name', async () => {
  for (const given of [undefined, null, 'text', {}] as unknown as readonly never[]) {
    await assert.rejects(all.migrate(given), OptionsError)
    assert.throws(() => all.postgresSagas({ pool: given }), /pool must be a Pool of pg/)
  }
})

/** There is no PostgreSQL at that address; that it was looked for is what counts here. */
function unlessAway(error: unknown): void {
  if (isMilenaError(error) || error instanceof TypeError) throw error
}
