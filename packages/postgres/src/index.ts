export type { Queryable, StoreOptions } from './database.ts'
export {
  listMigrations,
  migrate,
  printMigrations,
  type MigrateOptions,
  type Migration,
  type PrintOptions,
} from './migrate.ts'
