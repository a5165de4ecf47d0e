/**
 * The transaction in which a handler's work and its stored outcome are committed together.
 *
 *   open ── complete ──▶ committed, or rolled back (fenced, failed)
 *      └─── rollback ──▶ rolled back
 */
import {
  encodeStoredOutcome,
  type IdempotencyId,
  type IdempotencyTransaction,
  type StoredOutcome,
} from '@milena/request-reply'
import type { PoolClient } from 'pg'
import { takeClient, type Database } from '../database.ts'
import type { Entries } from './entries.ts'

/** What a handler is given. */
export interface PostgresTransaction {
  /**
   * The client that the transaction runs on. It is begun, and ended when the handler has returned: what is done with it
   * and the stored outcome are committed together, or not at all. Afterwards its queries are rejected.
   */
  readonly transaction: PoolClient
}

export async function beginTransaction(
  database: Database,
  entries: Entries,
): Promise<IdempotencyTransaction<PostgresTransaction>> {
  const client = await takeClient(database.pool, () => undefined)
  try {
    await client.query('BEGIN ISOLATION LEVEL READ COMMITTED')
  } catch (error) {
    client.release(true)
    throw error
  }
  return new Transaction(client, entries)
}

class Transaction implements IdempotencyTransaction<PostgresTransaction> {
  readonly added: PostgresTransaction
  readonly #client: PoolClient
  readonly #entries: Entries
  #over = false

  constructor(client: PoolClient, entries: Entries) {
    this.#client = client
    this.#entries = entries
    this.added = { transaction: this.#lent() }
  }

  /**
   * A query that has failed, and was caught, has PostgreSQL refuse all further ones; a deferred constraint says at the end
   * only that it does not hold. Of a lost connection `complete` learns, too.
   */
  async check(): Promise<void> {
    if (this.#over) return
    try {
      await this.#client.query('SET CONSTRAINTS ALL IMMEDIATE')
    } catch (error) {
      if (!isOfTheWork(error)) return
      throw new Error(
        `what was done in context.transaction cannot be committed: ${error.message}; a query that may fail needs a SAVEPOINT before it, and ROLLBACK TO after it`,
        { cause: error },
      )
    }
  }

  async complete(
    id: IdempotencyId,
    token: number,
    outcome: StoredOutcome,
    ttl: number,
  ): Promise<'completed' | 'fenced'> {
    if (this.#over) throw new Error('the transaction is over')
    this.#over = true
    try {
      const completion = { id, token, outcome: encodeStoredOutcome(outcome), ttl }
      const [isStored] = await this.#entries.complete([completion], 'wait', this.#client)
      await this.#client.query(isStored === true ? 'COMMIT' : 'ROLLBACK')
      this.#client.release()
      return isStored === true ? 'completed' : 'fenced'
    } catch (error) {
      // Its connection ends, and the transaction with it, unless it has just been committed.
      this.#client.release(true)
      throw error
    }
  }

  async rollback(): Promise<void> {
    if (this.#over) return
    this.#over = true
    try {
      await this.#client.query('ROLLBACK')
      this.#client.release()
    } catch {
      this.#client.release(true)
    }
  }

  /**
   * The client as the handler sees it. One that goes on after its transaction has ended, such as after its time limit, must
   * not write into the transaction of whoever has the connection next.
   */
  #lent(): PoolClient {
    const query = (...given: unknown[]): unknown => {
      if (this.#over)
        return Promise.reject(
          new Error('the transaction of this request is over: its work is not part of it'),
        )
      if (endsTransaction(given[0]))
        return Promise.reject(
          new Error(
            'the transaction of this request is ended by its outcome: throw to have it rolled back; SAVEPOINT and ROLLBACK TO may be used',
          ),
        )
      return (this.#client.query as (...args: unknown[]) => unknown).apply(this.#client, given)
    }
    return Object.create(this.#client, {
      query: { value: query },
      release: { value: refuseRelease },
    }) as PoolClient
  }
}

/** Whether a statement begins or ends a transaction, which would tear the work from the stored outcome. */
function endsTransaction(query: unknown): boolean {
  const text = typeof query === 'object' && query !== null ? (query as { text?: unknown }).text : query
  return (
    typeof text === 'string' &&
    /^\s*(begin|start\s+transaction|commit|end|abort|prepare\s+transaction|rollback(?!\s+(work\s+|transaction\s+)?to\b))\b/i.test(
      text,
    )
  )
}

/** The transaction has failed, or a constraint is violated: nothing that another connection would mend. */
function isOfTheWork(error: unknown): error is Error {
  const { code } = error as { code?: unknown }
  return error instanceof Error && typeof code === 'string' && /^(23|25P02|42|44|P0)/.test(code)
}

function refuseRelease(): never {
  throw new Error('the transaction of a request ends with its handler: do not release its client')
}
