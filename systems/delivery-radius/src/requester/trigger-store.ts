/** How far triggers are, in the database: what a requester that is killed had noted, its callers can ask another one for. */
import type { Pool } from 'pg'
import type { Progress } from './schemas.ts'

export class TriggerStore {
  readonly #pool: Pool
  readonly #requester: string

  /** @param requester names the one that runs the triggers which are begun here */
  constructor(pool: Pool, requester: string) {
    this.#pool = pool
    this.#requester = requester
  }

  /** Those that this requester ran when it was killed. To be called before it begins any. */
  async interruptLeft(): Promise<void> {
    await this.#pool.query(
      `update triggers set state = 'interrupted' where requester = $1 and state = 'running'`,
      [this.#requester],
    )
  }

  async begin({ id, kind, action, total }: Progress): Promise<void> {
    await this.#pool.query(
      'insert into triggers (id, requester, kind, action, total) values ($1, $2, $3, $4, $5)',
      [id, this.#requester, kind, action, total],
    )
  }

  /** What is noted of one that has ended is not followed by what was noted while it ran. */
  async note({ id, state, done, failed, unknown, rate, p50, p99 }: Progress): Promise<void> {
    await this.#pool.query({
      name: 'note-trigger',
      text: `update triggers set state = $2, done = $3, failed = $4, unknown = $5, rate = $6, p50 = $7, p99 = $8
             where id = $1 and (state = 'running' or $2 <> 'running')`,
      values: [id, state, done, failed, unknown, rate, p50, p99],
    })
  }

  async find(id: string): Promise<Progress | undefined> {
    const { rows } = await this.#pool.query<Progress>(
      `select id, requester, kind, action, total, state, done, failed, unknown, state = 'finished' as finished, rate,
         p50, p99 from triggers where id = $1`,
      [id],
    )
    return rows[0]
  }

  get requester(): string {
    return this.#requester
  }
}
