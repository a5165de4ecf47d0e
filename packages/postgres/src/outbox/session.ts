/**
 * A relay's connection. Its claims are advisory locks of this session, so they end with it: at once when the process or
 * the connection ends, and by `idle_session_timeout` when nothing has been heard of it for `claimTimeout`.
 */
import type { Clock } from '@milena/request-reply'
import type { PoolClient, QueryConfig, QueryResultRow } from 'pg'
import { takeClient, type Database } from '../database.ts'

export const channel = 'milena_outbox'

export interface SessionOptions {
  readonly database: Database
  readonly clock: Clock
  readonly claimTimeout: number
  /** Something was committed. */
  readonly onNotified: () => void
  /** The connection has ended (`lost`); not called after `end`. */
  readonly onLost: () => void
}

export class Session {
  readonly #client: PoolClient
  readonly #options: SessionOptions
  /** When the last question was asked that was answered. */
  #answered: number
  #over = false
  /** Why the connection has ended by itself. */
  lost: Error | undefined

  private constructor(client: PoolClient, options: SessionOptions) {
    this.#client = client
    this.#options = options
    this.#answered = options.clock.monotonic()
  }

  static async open(options: SessionOptions): Promise<Session> {
    let session: Session | undefined
    let early: Error | undefined
    const client = await takeClient(options.database.pool, (error) => {
      early = error
      if (session !== undefined) session.#lose(error)
    })
    session = new Session(client, options)
    try {
      if (early !== undefined) throw early
      await session.#begin()
      return session
    } catch (error) {
      session.end()
      throw error
    }
  }

  /**
   * Whether the claims are certainly still ours: the server ends a session not before it has been idle for `claimTimeout`,
   * counted from a moment after the last question was asked.
   */
  get holds(): boolean {
    const { clock, claimTimeout } = this.#options
    return !this.#over && clock.monotonic() - this.#answered < (claimTimeout * 2) / 3
  }

  async query<Row extends QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    const { clock, claimTimeout, database } = this.#options
    const asked = clock.monotonic()
    const question: QueryConfig & { query_timeout: number } = {
      text,
      values,
      query_timeout: Math.ceil((claimTimeout * 2) / 3),
    }
    try {
      const { rows } = await this.#client.query<Row>(question)
      this.#answered = asked
      return rows
    } catch (error) {
      throw database.explained(error)
    }
  }

  /** Ends the connection, and with it every claim. */
  end(): void {
    if (this.#over) return
    this.#over = true
    this.#client.release(true)
  }

  async #begin(): Promise<void> {
    const { claimTimeout, database, onNotified } = this.#options
    this.#client.on('notification', ({ payload }) => {
      if (payload === database.schema) onNotified()
    })
    this.#client.on('end', () => this.#lose(new Error('the connection to the database has ended')))
    // Since PostgreSQL 14; before it, a connection that is cut off keeps its claims as long as TCP takes to notice.
    await this.query(
      `SELECT set_config('idle_session_timeout', $1, false)
      WHERE current_setting('server_version_num')::integer >= 140000`,
      [String(claimTimeout)],
    )
    await this.query(`LISTEN ${channel}`)
  }

  #lose(error: Error): void {
    if (this.#over) return
    this.lost = error
    this.end()
    this.#options.onLost()
  }
}
