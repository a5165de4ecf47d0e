/**
 * The tables, as numbered SQL: `migrations/NNN-name.sql`. They are applied on request only, in order, under a lock, in
 * one transaction; what has been applied stands in `milena_migrations`.
 *
 * The files are read from `src/`, which is published beside `dist/`, so that what is run is what can be read.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { OptionsError } from '@milena/request-reply'
import { escapeLiteral, type Pool } from 'pg'
import { checkStore, Database, quoted, readSchema } from './database.ts'
import { kindOf, unknownOptions } from './given.ts'

export interface Migration {
  readonly number: number
  /** Such as `002-outbox`. */
  readonly name: string
  /** Its statements; tables are named without their schema. */
  readonly sql: string
}

export interface MigrateOptions {
  /** The schema that the tables are made in, and which is made if it is missing; default `public`. */
  readonly schema?: string | undefined
}

export interface PrintOptions extends MigrateOptions {
  /** The number after which to begin, for a database that has some of them; default 0, all. */
  readonly after?: number | undefined
}

/** From the sources and from what is built of them it is the same folder. */
const folder = new URL('../src/migrations/', import.meta.url)

/** Any number that nobody else locks; one lock for each database. */
const lock = '5570416220911837'

/** All of them, in order. */
export function listMigrations(): readonly Migration[] {
  return readdirSync(folder)
    .filter((file) => /^\d{3}-.+\.sql$/.test(file))
    .toSorted()
    .map((file) => ({
      number: Number(file.slice(0, 3)),
      name: file.slice(0, -'.sql'.length),
      sql: readFileSync(new URL(file, folder), 'utf8'),
    }))
}

/**
 * Applies what is missing, all of it or nothing; several processes may do so at once. Gives back the names of what it
 * applied. It needs the right to create tables in the schema, and to create the schema if that is missing.
 */
export async function migrate(pool: Pool, options: MigrateOptions = {}): Promise<readonly string[]> {
  const problems = unknownOptions('migrate', options, ['schema'])
  if (problems.length > 0) throw new OptionsError('migrate', problems)
  checkStore('migrate', { ...options, pool })
  const schema = readSchema(options.schema)
  return new Database({ pool, schema }, 'any').transaction(async (tx) => {
    await tx.query(preparation(schema))
    const { rows } = await tx.query<{ readonly number: number }>('SELECT number FROM milena_migrations')
    const applied = new Set(rows.map(({ number }) => number))
    const left = listMigrations().filter(({ number }) => !applied.has(number))
    for (const migration of left) {
      // oxlint-disable-next-line no-await-in-loop -- in their order
      await tx.query(statements(migration))
    }
    return left.map(({ name }) => name)
  })
}

/** The same as a text for `psql`, for who may not, or does not want to, have an application do it. */
export function printMigrations(options: PrintOptions = {}): string {
  const problems = unknownOptions('printMigrations', options, ['schema', 'after'])
  const { after = 0 } = options
  if (!Number.isSafeInteger(after) || after < 0)
    problems.push(`after must be a migration's number, not ${kindOf(after)}`)
  if (problems.length > 0) throw new OptionsError('printMigrations', problems)
  const wanted = listMigrations().filter(({ number }) => number > after)
  return `BEGIN;\n${[preparation(readSchema(options.schema)), ...wanted.map(statements)].join('\n')}COMMIT;\n`
}

/**
 * The lock is held to the end of the transaction; it comes first, since even `IF NOT EXISTS` fails in a race. And that
 * needs rights even where there is nothing to make, which an application whose tables are there need not have.
 */
function preparation(schema: string): string {
  const making = `BEGIN
  IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = ${escapeLiteral(schema)}) THEN
    CREATE SCHEMA ${quoted(schema)};
  END IF;
  IF to_regclass(${escapeLiteral(`${quoted(schema)}.milena_migrations`)}) IS NULL THEN
    CREATE TABLE ${quoted(schema)}.milena_migrations (
      number integer PRIMARY KEY,
      name text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now()
    );
  END IF;
END`
  return `SELECT pg_advisory_xact_lock(${lock});
DO ${escapeLiteral(making)};
SET LOCAL search_path TO ${quoted(schema)};
`
}

function statements({ number, name, sql }: Migration): string {
  return `-- ${name}\n${sql.trim()}\nINSERT INTO milena_migrations (number, name) VALUES (${number}, ${escapeLiteral(name)});\n`
}
