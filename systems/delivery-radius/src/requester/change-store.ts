/** The changes that were not made, and those of which nobody knows: in the database, for all requesters. */
import { messageOf } from '@milena/hosting'
import { setTimeout as sleep } from 'node:timers/promises'
import { DatabaseError, type Pool } from 'pg'
import type { Change, ChangesQuery } from './schemas.ts'

/** Most that are written at once, and that wait for it before `put` has its caller wait. */
const batch = 1_000
/** Milliseconds before a write that failed is tried again. */
const pause = 500

const columns = `id, trigger_id as trigger, shop, kind, action, status, code, message,
  to_char(requested_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "requestedAt"`

export class ChangeStore {
  readonly #pool: Pool
  #waiting = new Map<string, Change>()
  #writing: Promise<void> | undefined

  constructor(pool: Pool) {
    this.#pool = pool
  }

  /** Has it written, with what else has gathered. Once a change has an outcome, `unknown` does not take its place. */
  async put(change: Change): Promise<void> {
    const before = this.#waiting.get(change.id)
    if (before === undefined || before.status === 'unknown') this.#waiting.set(change.id, change)
    this.#writing ??= this.#write().finally(() => (this.#writing = undefined))
    if (this.#waiting.size >= batch) await this.#writing
  }

  /** Resolves when everything that was put is written. */
  async written(): Promise<void> {
    await this.#writing
  }

  async list({ status, limit, after }: ChangesQuery): Promise<Change[]> {
    const { rows } = await this.#pool.query<Change>(
      `select ${columns} from changes
       where status = $1 and number > coalesce((select number from changes where id = $3), 0)
       order by number limit $2`,
      [status, limit, after ?? null],
    )
    return rows
  }

  async find(id: string): Promise<Change | undefined> {
    const { rows } = await this.#pool.query<Change>(`select ${columns} from changes where id = $1`, [id])
    return rows[0]
  }

  /** Takes a failed change to try it again: of several who want to, one. Until the outcome is known, it is unknown. */
  async take(id: string): Promise<boolean> {
    const { rowCount } = await this.#pool.query(
      `update changes set status = 'unknown', requested_at = now() where id = $1 and status = 'failed'`,
      [id],
    )
    return rowCount === 1
  }

  async #write(): Promise<void> {
    while (this.#waiting.size > 0) {
      const gathered = [...this.#waiting.values()]
      this.#waiting = new Map()
      for (let first = 0; first < gathered.length; first += batch)
        await this.#insert(gathered.slice(first, first + batch))
    }
  }

  /** However long the database is away: nobody else knows of them. One that it can never take keeps no other from it. */
  async #insert(changes: readonly Change[]): Promise<void> {
    for (;;) {
      try {
        await this.#pool.query({
          name: 'put-changes',
          text: `insert into changes (id, trigger_id, shop, kind, action, status, code, message, requested_at)
                 select id, trigger, shop, kind, action, status, code, message, "requestedAt"
                 from json_to_recordset($1) as change (id text, trigger text, shop text, kind text, action text,
                   status text, code text, message text, "requestedAt" timestamptz)
                 on conflict (id) do update set status = excluded.status, code = excluded.code,
                   message = excluded.message
                 where changes.status = 'unknown'`,
          values: [JSON.stringify(changes)],
        })
        return
      } catch (error) {
        if (isUnfit(error)) return this.#insertFitting(changes, error)
        console.error(`changes could not be stored, trying again: ${messageOf(error)}`)
        await sleep(pause)
      }
    }
  }

  async #insertFitting(changes: readonly Change[], error: DatabaseError): Promise<void> {
    if (changes.length === 1) {
      console.error(`change ${changes[0]!.id} cannot be stored: ${messageOf(error)}`)
      return
    }
    for (const change of changes) await this.#insert([change])
  }
}

/** Class 22 of PostgreSQL's error codes: what is to be stored is nothing that it can hold. */
function isUnfit(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && error.code?.startsWith('22') === true
}
