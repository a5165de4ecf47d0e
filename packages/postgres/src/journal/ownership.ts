/**
 * Who has an instance's journal: a row with an epoch. Whoever takes the journal makes it higher, and each statement of an
 * owner locks the row and asks for its epoch: so it comes before the taking, and what it wrote is found, or it does
 * nothing.
 *
 * That a process is alive is what the row's time says, which its owner renews; who finds it old, or sees no renewal for
 * as long as the lease lasts, takes it for dead. That decides whether we are polite, and nothing else.
 */
import type { JournalOpening } from '@milena/request-reply'
import type { Database } from '../database.ts'

export class Ownership {
  readonly #database: Database
  readonly #instanceId: string
  readonly epoch: string

  private constructor(database: Database, instanceId: string, epoch: string) {
    this.#database = database
    this.#instanceId = instanceId
    this.epoch = epoch
  }

  /** The next owner; `undefined` when a living process has the journal and is not to be fenced. */
  static async take(
    database: Database,
    { instanceId, takeOver, clock }: JournalOpening,
    lease: number,
  ): Promise<Ownership | undefined> {
    const owners = database.table('milena_journal_owners')
    let before: string | undefined
    for (;;) {
      const taken = await database.query<{ readonly epoch: string }>(
        `INSERT INTO ${owners} AS old (instance_id, epoch, renewed_at, released)
        VALUES ($1, 1, clock_timestamp(), false)
        ON CONFLICT (instance_id) DO UPDATE
        SET epoch = old.epoch + 1, renewed_at = clock_timestamp(), released = false
        WHERE old.released OR $2 OR old.renewed_at < clock_timestamp() - $3::float8 * interval '1 ms'
        RETURNING epoch`,
        [instanceId, takeOver === 'fence', lease],
      )
      if (taken.length > 0) return new Ownership(database, instanceId, taken[0]!.epoch)
      const rows = await database.query<{ readonly seen: string }>(
        `SELECT epoch || ' ' || renewed_at::text AS seen FROM ${owners} WHERE instance_id = $1`,
        [instanceId],
      )
      const seen = rows[0]?.seen
      before ??= seen
      if (seen !== before) return undefined
      await new Promise<void>((resolve) => clock.schedule(lease / 6, resolve))
    }
  }

  /** A common table expression, `owner`, of one row if we are it, for parameters $1 and $2: instance id and epoch. */
  get clause(): string {
    const owners = this.#database.table('milena_journal_owners')
    return `owner AS MATERIALIZED (SELECT 1 FROM ${owners} WHERE instance_id = $1 AND epoch = $2::bigint FOR SHARE)`
  }

  get parameters(): unknown[] {
    return [this.#instanceId, this.epoch]
  }

  /** Gives a sign of life; false when the journal is somebody else's. */
  async renew(): Promise<boolean> {
    return this.#update('renewed_at = clock_timestamp()')
  }

  async release(): Promise<void> {
    await this.#update('released = true')
  }

  async #update(change: string): Promise<boolean> {
    const owners = this.#database.table('milena_journal_owners')
    const rows = await this.#database.query(
      `UPDATE ${owners} SET ${change} WHERE instance_id = $1 AND epoch = $2::bigint RETURNING 1`,
      this.parameters,
    )
    return rows.length > 0
  }
}
