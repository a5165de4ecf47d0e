/** The journal's statements. */
import type { JournalEntry, JournalHead, RawHeader, RecordPosition } from '@milena/request-reply'
import type { Database } from '../database.ts'
import type { Ownership } from './ownership.ts'

interface RawEntry {
  readonly correlation_id: Buffer
  readonly operation: string
  readonly topic: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: string
  readonly timeout: number
  readonly accepted_at: number
  readonly deadline: number
  readonly replies_from: string
}

interface RawHead extends Pick<RawEntry, 'correlation_id' | 'deadline' | 'replies_from'> {
  readonly id: string
  readonly kept_until: number | null
}

export interface Finished {
  readonly correlationId: Buffer
  readonly keepUntil: number | undefined
}

const pageSize = 1_000

export class JournalRows {
  readonly #database: Database
  readonly #owner: Ownership
  readonly #table: string

  constructor(database: Database, owner: Ownership) {
    this.#database = database
    this.#owner = owner
    this.#table = database.table('milena_journal')
  }

  /** All of them, in one statement; false when the journal is somebody else's, and nothing was written. */
  async insert(entries: readonly JournalEntry[]): Promise<boolean> {
    const rows = await this.#database.often(
      'entries',
      `WITH ${this.#owner.clause}
      INSERT INTO ${this.#table} (instance_id, correlation_id, operation, topic, key, value, headers, timeout,
        accepted_at, deadline, replies_from)
      SELECT $1, correlation_id, operation, topic, key, value, headers, timeout, accepted_at, deadline, replies_from
      FROM owner, unnest($3::bytea[], $4::text[], $5::text[], $6::bytea[], $7::bytea[], $8::text[], $9::float8[],
        $10::float8[], $11::float8[], $12::text[]) WITH ORDINALITY
        AS e(correlation_id, operation, topic, key, value, headers, timeout, accepted_at, deadline, replies_from, place)
      ORDER BY place
      RETURNING 1`,
      [
        ...this.#owner.parameters,
        entries.map(({ correlationId }) => correlationId),
        entries.map(({ operation }) => operation),
        entries.map(({ topic }) => topic),
        entries.map(({ key }) => key),
        entries.map(({ value }) => value),
        entries.map(({ headers }) => JSON.stringify(headers.map(textOf))),
        entries.map(({ timeout }) => timeout),
        entries.map(({ acceptedAt }) => acceptedAt),
        entries.map(({ deadline }) => deadline),
        entries.map(({ repliesFrom }) =>
          JSON.stringify(repliesFrom.map(({ topic, partition, offset }) => [topic, partition, offset])),
        ),
      ],
    )
    return rows.length > 0
  }

  /** Nothing happens when the journal is somebody else's. */
  async finish(finished: readonly Finished[]): Promise<void> {
    const kept = finished.filter(({ keepUntil }) => keepUntil !== undefined)
    const gone = finished.filter(({ keepUntil }) => keepUntil === undefined)
    if (kept.length > 0) {
      await this.#database.query(
        `WITH ${this.#owner.clause}
        UPDATE ${this.#table} AS entry SET kept_until = e.until
        FROM owner, unnest($3::bytea[], $4::float8[]) AS e(correlation_id, until)
        WHERE entry.instance_id = $1 AND entry.correlation_id = e.correlation_id`,
        [
          ...this.#owner.parameters,
          kept.map(({ correlationId }) => correlationId),
          kept.map(({ keepUntil }) => keepUntil),
        ],
      )
    }
    if (gone.length === 0) return
    await this.#database.often(
      'finished',
      `WITH ${this.#owner.clause}
      DELETE FROM ${this.#table} USING owner WHERE instance_id = $1 AND correlation_id = ANY($3::bytea[])`,
      [...this.#owner.parameters, gone.map(({ correlationId }) => correlationId)],
    )
  }

  /** Forgets what was kept until now. */
  async expire(now: number): Promise<void> {
    await this.#database.query(
      `WITH ${this.#owner.clause} DELETE FROM ${this.#table} USING owner WHERE instance_id = $1 AND kept_until <= $3`,
      [...this.#owner.parameters, now],
    )
  }

  async *heads(): AsyncIterable<readonly JournalHead[]> {
    const [instanceId] = this.#owner.parameters
    let last = '0'
    for (;;) {
      const rows = await this.#database.query<RawHead>(
        `SELECT id, correlation_id, deadline, replies_from, kept_until FROM ${this.#table}
        WHERE instance_id = $1 AND id > $2 ORDER BY id LIMIT ${pageSize}`,
        [instanceId, last],
      )
      if (rows.length === 0) return
      last = rows.at(-1)!.id
      yield rows.map((row) => ({
        correlationId: row.correlation_id,
        deadline: row.deadline,
        repliesFrom: positionsIn(row.replies_from),
        keptUntil: row.kept_until ?? undefined,
      }))
    }
  }

  async read(correlationIds: readonly Buffer[]): Promise<readonly JournalEntry[]> {
    const [instanceId] = this.#owner.parameters
    const rows = await this.#database.query<RawEntry>(
      `SELECT * FROM ${this.#table} WHERE instance_id = $1 AND correlation_id = ANY($2::bytea[])`,
      [instanceId, correlationIds],
    )
    return rows.map(toEntry)
  }
}

function toEntry(row: RawEntry): JournalEntry {
  const { operation, topic, key, value, timeout, deadline } = row
  return {
    correlationId: row.correlation_id,
    operation,
    topic,
    key,
    value,
    headers: (JSON.parse(row.headers) as readonly (readonly [string, string | null])[]).map(
      ([name, content]): RawHeader => [
        Buffer.from(name, 'base64'),
        content === null ? null : Buffer.from(content, 'base64'),
      ],
    ),
    timeout,
    acceptedAt: row.accepted_at,
    deadline,
    repliesFrom: positionsIn(row.replies_from),
  }
}

function textOf([name, content]: RawHeader): readonly [string, string | null] {
  return [name.toString('base64'), content === null ? null : content.toString('base64')]
}

function positionsIn(text: string): readonly RecordPosition[] {
  const positions = JSON.parse(text) as readonly (readonly [string, number, number])[]
  return positions.map(([topic, partition, offset]) => ({ topic, partition, offset }))
}
