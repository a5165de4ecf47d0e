/** A planted defect: the worker says of some changes that it has made them, and they are not made. */
import type { Pool } from 'pg'

/** Of ten records of a partition the last one's change is dropped; where it stands in the log is kept, as if it were made. */
export async function plantDefect(pool: Pool): Promise<void> {
  await pool.query(`
    create function drop_change() returns trigger language plpgsql as $$
    begin
      new.radius := old.radius; new.active := old.active; new.changes := old.changes;
      return new;
    end $$;
    create trigger drop_change before update on shops for each row
      when (new.applied_offset % 10 = 9) execute function drop_change()`)
}
