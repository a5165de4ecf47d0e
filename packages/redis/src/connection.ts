import { OptionsError } from '@milena/request-reply'
import { Redis } from 'ioredis'
import { kindOf, unknownOptions } from './given.ts'

/** Which Redis: its address, or a client of the application's own. */
export interface RedisSource {
  /** `redis://user:password@host:port/database`, or `rediss://` for TLS. Then connections are opened and closed here. */
  readonly url?: string | undefined
  /** An ioredis client, which stays the application's to close. */
  readonly client?: Redis | undefined
}

/** Milliseconds after which a command that Redis does not answer has failed. */
const commandTimeout = 2_000

/** A problem with a source; `undefined` when there is none. */
export function problemOfSource({ url, client }: RedisSource): string | undefined {
  if ((url === undefined) === (client === undefined)) return 'give either url or client'
  if (client !== undefined && typeof Object(client).duplicate !== 'function')
    return 'client must be a client of ioredis'
  if (url !== undefined && typeof url !== 'string') return 'url must be a text'
  if (url === undefined || (URL.canParse(url) && /^rediss?:$/.test(new URL(url).protocol))) return undefined
  return 'url must be redis://host:port or rediss://host:port'
}

export interface RedisConnection {
  readonly client: Redis
  close(): void
}

/**
 * A connection of its own that fails fast while Redis is away, and connects again for as long as it is open. The first
 * connecting is not waited for.
 */
export function connectRedis({ url, client }: RedisSource): RedisConnection {
  const own = {
    lazyConnect: false,
    enableOfflineQueue: false,
    // Whoever subscribes does so again itself, and waits for it.
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    commandTimeout,
    retryStrategy: (attempts: number): number => Math.min(2_000, 50 * 2 ** Math.min(attempts, 6)),
  }
  const made = client === undefined ? new Redis(url!, own) : client.duplicate(own)
  // Each command says so itself; and an emitter without a listener would throw.
  made.on('error', () => {})
  return { client: made, close: () => made.disconnect() }
}

/** Resolves when the connection can be used; rejects after `timeout` milliseconds with what was in its way. */
export function ready(client: Redis, timeout: number): Promise<void> {
  if (client.status === 'ready') return Promise.resolve()
  return new Promise((resolve, reject) => {
    let last: Error | undefined
    const failed = (error: Error): void => void (last = error)
    const timer = setTimeout(() => end(last ?? new Error(`no answer within ${timeout} ms`)), timeout)
    const isReady = (): void => end(undefined)
    const end = (error: Error | undefined): void => {
      clearTimeout(timer)
      client.off('ready', isReady).off('error', failed)
      if (error === undefined) resolve()
      else reject(error)
    }
    client.on('error', failed)
    client.once('ready', isReady)
  })
}

/**
 * Resolves when Redis has answered; rejects after `timeout` milliseconds.
 *
 * @throws OptionsError `MILENA_OPTIONS_INVALID`
 */
export async function pingRedis(source: RedisSource, timeout: number): Promise<void> {
  const problems = unknownOptions('pingRedis', source, ['url', 'client'])
  const problem = problemOfSource(source)
  if (problem !== undefined) problems.push(problem)
  if (!(typeof timeout === 'number' && timeout > 0))
    problems.push(`timeout must be a number of milliseconds, not ${kindOf(timeout)}`)
  if (problems.length > 0) throw new OptionsError('pingRedis', problems)
  const connection = connectRedis(source)
  try {
    await ready(connection.client, timeout)
    await connection.client.ping()
  } finally {
    connection.close()
  }
}
