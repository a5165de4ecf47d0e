/**
 * `redisIdempotency`: idempotency keys in Redis.
 *
 * Guaranteed: each step is one script, which Redis runs alone; of many that claim a key one gets it, and what comes with an
 * older token changes nothing, by Redis's clock. Weaker than `@milena/postgres` in this:
 *
 * - Redis acknowledges before its disk or a replica has it. What it forgets (a crash without `appendfsync always`, a failover
 *   to a replica that was behind, eviction when it is full) was never done as far as repliers know: a repeated request is
 *   handled again. Use `maxmemory-policy noeviction`.
 * - Nothing of the handler's is in one transaction with the stored outcome.
 * - It cannot say since when it knows (`knowsSince`), so a query never hears that a key was certainly never seen.
 * - Tokens grow with Redis's clock: when that is set back beyond the time of a forgotten key, they may not.
 */
import {
  MilenaError,
  decodeStoredOutcome,
  encodeStoredOutcome,
  OptionsError,
  type Claim,
  type ClaimOptions,
  type Found,
  type IdempotencyId,
  type IdempotencyStore,
  type StoredOutcome,
} from '@milena/request-reply'
import { connectRedis, problemOfSource, ready, type RedisConnection, type RedisSource } from './connection.ts'
import { unknownOptions } from './given.ts'
import { scripts, type ScriptName } from './idempotency-scripts.ts'

export interface RedisIdempotencyOptions extends RedisSource {
  /** What its keys begin with; default `milena:idempotency:`. */
  readonly prefix?: string | undefined
}

export interface RedisIdempotencyStore extends IdempotencyStore, AsyncDisposable {
  /** Closes its connection. */
  close(): Promise<void>
}

/** Milliseconds that the first connecting may take. */
const openBound = 5_000

/**
 * Connects when it is first asked.
 *
 * @throws OptionsError `MILENA_OPTIONS_INVALID`
 */
export function redisIdempotency(options: RedisIdempotencyOptions): RedisIdempotencyStore {
  const problems = unknownOptions('redisIdempotency', options, ['url', 'client', 'prefix'])
  const { prefix = '' } = options
  if (typeof prefix !== 'string') problems.push('prefix must be a text')
  const problem = problemOfSource(options)
  if (problem !== undefined) problems.push(problem)
  if (problems.length > 0) throw new OptionsError('redisIdempotency', problems)
  return new RedisStore(options)
}

class RedisStore implements RedisIdempotencyStore {
  readonly #options: RedisIdempotencyOptions
  readonly #prefix: string
  #connection: RedisConnection | undefined
  #closed = false

  constructor(options: RedisIdempotencyOptions) {
    this.#options = options
    this.#prefix = options.prefix ?? 'milena:idempotency:'
  }

  async claim(id: IdempotencyId, options: ClaimOptions): Promise<Claim> {
    const { fingerprint, owner, lease, ttl, replacing } = options
    const found = await this.#run('claim', id, [fingerprint, owner, lease, ttl, replacing ?? ''])
    const [kind, ...facts] = found as [Buffer, ...unknown[]]
    switch (String(kind)) {
      case 'claimed':
        return { kind: 'claimed', token: Number(facts[0]), again: Number(facts[1]) === 1 }
      case 'mismatch':
        return { kind: 'mismatch' }
      default:
        return entryOf(String(kind), facts) as Claim
    }
  }

  async renew(id: IdempotencyId, token: number, lease: number): Promise<boolean> {
    return Number(await this.#run('renew', id, [token, lease])) === 1
  }

  async complete(
    id: IdempotencyId,
    token: number,
    outcome: StoredOutcome,
    ttl: number,
  ): Promise<'completed' | 'fenced'> {
    const done = await this.#run('complete', id, [token, encodeStoredOutcome(outcome), ttl])
    return Number(done) === 1 ? 'completed' : 'fenced'
  }

  async release(id: IdempotencyId, token: number, trace: boolean): Promise<void> {
    await this.#run('release', id, [token, trace ? 1 : 0])
  }

  async find(id: IdempotencyId): Promise<Found> {
    const [kind, ...facts] = (await this.#run('find', id, [])) as [Buffer, ...unknown[]]
    if (String(kind) === 'nothing') return { kind: 'nothing', knowsSince: undefined }
    return entryOf(String(kind), facts)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#connection?.close()
    this.#connection = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #run(
    name: ScriptName,
    { scope, key }: IdempotencyId,
    values: readonly (string | number | Buffer)[],
  ): Promise<unknown> {
    if (this.#closed) throw new MilenaError('MILENA_CLOSED', 'the idempotency store in Redis is closed')
    this.#connection ??= connectRedis(this.#options)
    const { client } = this.#connection
    if (client.status !== 'ready') await ready(client, openBound)
    // With the scope's length: no two pairs make one name.
    const entry = Buffer.from(`${this.#prefix}${Buffer.byteLength(scope)}:${scope}:${key}`)
    const { text, sha } = scripts[name]
    try {
      return await client.callBuffer('EVALSHA', sha, 1, entry, ...values)
    } catch (error) {
      // Nothing was run: Redis does not have the script (any more).
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
      return client.callBuffer('EVAL', text, 1, entry, ...values)
    }
  }
}

function entryOf(
  kind: string,
  facts: readonly unknown[],
): (Found & Exclude<Claim, { kind: 'claimed' }>) | Found {
  switch (kind) {
    case 'running':
      return { kind, owner: String(facts[0]), remaining: Number(facts[1]) }
    case 'stored':
      return {
        kind,
        outcome: decodeStoredOutcome(facts[0] as Buffer),
        token: Number(facts[1]),
        storedAt: Number(facts[2]),
      }
    case 'released':
    case 'lapsed':
      return { kind }
    default:
      throw new TypeError(`Redis has an entry of a kind that nobody knows: ${kind}`)
  }
}
