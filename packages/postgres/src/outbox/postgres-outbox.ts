import { randomUUID } from 'node:crypto'
import {
  encodeHeaders,
  OptionsError,
  requestRecord,
  type Operation,
  type RequestRecord,
} from '@milena/request-reply'
import type { ClientBase } from 'pg'
import { Database, storeProblems } from '../database.ts'
import { switchProblems, unknownOptions } from '../given.ts'
import type {
  Outbox,
  OutboxAddOptions,
  OutboxBacklog,
  OutboxEntry,
  OutboxOptions,
  OutboxRelay,
  RelayOptions,
  StuckKey,
} from './outbox.ts'
import { Relay } from './relay.ts'
import { channel } from './session.ts'

const migration = '002-outbox'
const keyHeader = 'milena-idempotency-key'
const mostCounted = 100_000
const mostListed = 100
const knownOfAdd: readonly (keyof OutboxAddOptions)[] = [
  'headers',
  'key',
  'partition',
  'replyTo',
  'correlationId',
  'idempotencyKey',
  'deadline',
]

/**
 * Opens the outbox of a database; nothing is asked of it before it is used.
 *
 * @throws OptionsError
 */
export function postgresOutbox(options: OutboxOptions): Outbox {
  return new PostgresOutbox(options)
}

class PostgresOutbox implements Outbox {
  readonly #database: Database
  readonly #table: string
  readonly #options: OutboxOptions

  constructor(options: OutboxOptions) {
    const problems = storeProblems(options, ['notify', 'profile'])
    if (problems.length === 0) problems.push(...switchProblems({ notify: options.notify }))
    if (problems.length > 0) throw new OptionsError('postgresOutbox', problems)
    this.#database = new Database(options, migration)
    this.#table = this.#database.table('milena_outbox')
    this.#options = options
  }

  async add<RequestInput, RequestOutput, ReplyInput, ReplyOutput>(
    tx: ClientBase,
    operation: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
    value: RequestInput,
    options: OutboxAddOptions = {},
  ): Promise<OutboxEntry> {
    refusePool(tx)
    const problems = unknownOptions('outbox.add', options, knownOfAdd)
    if (problems.length > 0) throw new OptionsError('outbox.add', problems)
    const { profile } = this.#options
    let record = await requestRecord(operation, value, { ...options, profile })
    let { idempotencyKey } = record
    if (idempotencyKey === undefined) {
      idempotencyKey = randomUUID()
      record = { ...record, headers: [...record.headers, ...encodeHeaders({ [keyHeader]: idempotencyKey })] }
    }
    const id = await this.#write(tx, record, idempotencyKey)
    return { id, idempotencyKey, correlationId: record.correlationId?.toString('hex') }
  }

  relay(options: RelayOptions): OutboxRelay {
    return new Relay(this.#database, options)
  }

  async backlog(): Promise<OutboxBacklog> {
    const [[totals], stuck] = await Promise.all([this.#totals(), this.#stuck()])
    const { pending = 0, stuckKeys = 0, oldestAge = 0 } = totals ?? {}
    const counted = Math.min(pending, mostCounted)
    return { pending: counted, more: pending > mostCounted, oldestAge, stuckKeys, stuck }
  }

  async #write(tx: ClientBase, record: RequestRecord, idempotencyKey: string): Promise<string> {
    const { topic, partition, key, value, headers, operation } = record
    const names = headers.map(([name]) => name)
    const values = headers.map(([, content]) => content)
    const bytes = [key, value, ...names, ...values].reduce((sum, part) => sum + (part?.length ?? 0), 0)
    // Without a key there is no order, so nothing to wait for.
    const lane = key === null ? `${topic} ${idempotencyKey}` : `${topic} ${key.toString('hex')}`
    const notified = this.#options.notify === false ? 'NULL' : `pg_notify('${channel}', $11)`
    const rows = await this.#database.query<{ readonly id: string }>(
      `WITH written AS (
        INSERT INTO ${this.#table}
          (lane, operation, topic, partition, key, value, header_names, header_values, idempotency_key, bytes)
        VALUES (hashtextextended($1, 0), $2, $3, $4, $5, $6, $7::bytea[], $8::bytea[], $9, $10) RETURNING id
      ) SELECT id::text, ${notified}, $11::text FROM written`,
      [
        lane,
        operation,
        topic,
        partition,
        key,
        value,
        names,
        values,
        idempotencyKey,
        bytes,
        this.#database.schema,
      ],
      tx,
    )
    return rows[0]!.id
  }

  #totals(): Promise<{ readonly pending: number; readonly stuckKeys: number; readonly oldestAge: number }[]> {
    const pending = `FROM ${this.#table} WHERE sent_at IS NULL`
    const most = mostCounted + 1
    return this.#database.query(
      `SELECT
        (SELECT count(*)::integer FROM (SELECT 1 ${pending} LIMIT ${most}) AS counted) AS pending,
        (SELECT count(*)::integer FROM (SELECT 1 ${pending} AND failures > 0 LIMIT ${most}) AS counted) AS "stuckKeys",
        coalesce((SELECT greatest(0, extract(epoch FROM clock_timestamp() - min(created_at)) * 1000)::float8
          ${pending}), 0) AS "oldestAge"`,
    )
  }

  async #stuck(): Promise<StuckKey[]> {
    const rows = await this.#database.query<Omit<StuckKey, 'error'> & { code: string; message: string }>(
      `SELECT id::text, topic, key, operation, failures, error_code AS code, error_message AS message,
        (extract(epoch FROM failing_since) * 1000)::float8 AS since,
        (extract(epoch FROM retry_at) * 1000)::float8 AS "nextAttempt"
      FROM ${this.#table} WHERE sent_at IS NULL AND failures > 0 ORDER BY failing_since LIMIT ${mostListed}`,
    )
    return rows.map(({ code, message, ...row }) => Object.assign(row, { error: { code, message } }))
  }
}

/** Each statement of a pool is a transaction of its own. */
function refusePool(tx: object): void {
  if ('totalCount' in tx)
    throw new OptionsError('add', ['tx must be the client that the transaction runs on, not the pool'])
}
