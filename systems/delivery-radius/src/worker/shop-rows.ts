/** Rows of shops, many at a time. */
import type { Pool } from 'pg'
import type { Kind } from '../domain/radius.ts'
import type { Answer } from './answers.ts'

export interface ShopRow {
  readonly id: string
  readonly base: number
  readonly radius: number
  readonly active: readonly Kind[]
  /** The record of the last change that was applied or refused; `null` before the first. */
  readonly partition: number | null
  readonly offset: number | null
  readonly changes: number
  /** Of the last changes, the last one at the end. */
  readonly answers: readonly Answer[]
}

export async function readRows(pool: Pool, ids: readonly string[]): Promise<Map<string, ShopRow>> {
  const { rows } = await pool.query<ShopRow>({
    name: 'read-shops',
    text: `select id, base, radius, active, applied_partition as partition, applied_offset as offset, changes, answers
           from shops where id = any($1)`,
    values: [ids],
  })
  return new Map(rows.map((row) => [row.id, row]))
}

export interface Write {
  readonly before: ShopRow
  readonly after: ShopRow
}

/**
 * Writes those rows that still are as they were read. Of another worker, which had a partition before or has it since, one
 * of the two writes a row first; the other finds another offset there. Returns the ids of the rows that were written.
 */
export async function writeRows(pool: Pool, writes: readonly Write[]): Promise<Set<string>> {
  const rows = writes.map(({ before, after }) => ({ ...after, was: before.offset, of: before.partition }))
  const { rows: written } = await pool.query<{ readonly id: string }>({
    name: 'write-shops',
    text: `update shops
           set radius = after.radius, active = after.active, applied_partition = after.partition,
             applied_offset = after.offset, changes = after.changes, answers = after.answers
           from json_to_recordset($1) as after (id text, radius integer, active jsonb, partition integer,
             "offset" bigint, changes integer, answers jsonb, was bigint, "of" integer)
           where shops.id = after.id and shops.applied_offset is not distinct from after.was
             and shops.applied_partition is not distinct from after."of"
           returning shops.id`,
    values: [JSON.stringify(rows)],
  })
  return new Set(written.map(({ id }) => id))
}
