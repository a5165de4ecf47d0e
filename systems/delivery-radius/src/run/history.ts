/**
 * In which order changes were made, as the database itself has seen it: a trigger writes down each change of a shop while
 * its row is locked. The same in every way, so that it costs each the same.
 */
import { escapeIdentifier, type Pool } from 'pg'

export interface HistoryRow {
  readonly shop: string
  /** What the way has written beside the change: a record's position, or partition 0 and the trigger's number. */
  readonly partition: number
  readonly offset: number
  /** Whether it was made on a state that others had changed since: their change is gone. */
  readonly overwrote: boolean
}

/** Begins the history of the table `shops` in a schema. */
export async function keepHistory(pool: Pool, schema: string): Promise<void> {
  const within = escapeIdentifier(schema)
  await pool.query(`
    create table ${within}.history (
      place bigserial primary key, shop text not null, "partition" integer not null, "offset" bigint not null,
      overwrote boolean not null
    );
    create function ${within}.keep_history() returns trigger language plpgsql as $$
    begin
      insert into ${within}.history (shop, "partition", "offset", overwrote)
      values (new.id, new.applied_partition, new.applied_offset, new.changes <> old.changes + 1);
      return null;
    end $$;
    create trigger keep_history after update on ${within}.shops for each row
      when (new.active is distinct from old.active) execute function ${within}.keep_history()`)
}

/** In the order in which the changes were made. */
export async function readHistory(pool: Pool, schema: string): Promise<readonly HistoryRow[]> {
  const { rows } = await pool.query<HistoryRow>(
    `select shop, "partition", "offset"::float8 as offset, overwrote
     from ${escapeIdentifier(schema)}.history order by place`,
  )
  return rows
}

/** Ends it: what comes now is not written down. */
export async function endHistory(pool: Pool, schema: string): Promise<void> {
  const within = escapeIdentifier(schema)
  await pool.query(`drop trigger keep_history on ${within}.shops`)
}
