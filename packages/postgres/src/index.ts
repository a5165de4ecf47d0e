export type { GroupedStoreOptions, Queryable, StoreOptions } from './database.ts'
export { GroupCommit, type GroupCommitOptions } from './group-commit.ts'
export { postgresJournal, type PostgresJournalOptions } from './journal/postgres-journal.ts'
export {
  listMigrations,
  migrate,
  printMigrations,
  type MigrateOptions,
  type Migration,
  type PrintOptions,
} from './migrate.ts'
export type {
  Outbox,
  OutboxAddOptions,
  OutboxBacklog,
  OutboxEntry,
  OutboxOptions,
  OutboxRelay,
  OutboxRelayHealth,
  OutboxRelayStats,
  RelayOptions,
  StuckKey,
} from './outbox/outbox.ts'
export { postgresOutbox } from './outbox/postgres-outbox.ts'
export {
  postgresIdempotency,
  type PlainPostgresIdempotencyStore,
  type PostgresIdempotencyOptions,
  type PostgresIdempotencyStore,
} from './idempotency/postgres-idempotency.ts'
export type { PostgresTransaction } from './idempotency/transaction.ts'
export { postgresSagas } from './saga/postgres-sagas.ts'
