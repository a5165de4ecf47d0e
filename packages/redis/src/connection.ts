import { OptionsError } from '@milena/request-reply'
import { Redis } from 'ioredis'

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
  if (url === undefined || (URL.canParse(url) && /^rediss?:$/.test(new URL(url).protocol))) return undefined
  return 'url must be redis://host:port or rediss://host:port'
}

/** Names that are no options: most are misspelt. */
export function unknownOptions(options: object, known: readonly string[]): string[] {
  return Object.keys(options)
    .filter((name) => !known.includes(name))
    .map((name) => `there is no option ${name}`)
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

/** Resolves when Redis has answered; rejects after `timeout` milliseconds. */
export async function pingRedis(source: RedisSource, timeout: number): Promise<void> {
  const problem = problemOfSource(source)
  if (problem !== undefined) throw new OptionsError('pingRedis', [problem])
  const connection = connectRedis(source)
  try {
    await ready(connection.client, timeout)
    await connection.client.ping()
  } finally {
    connection.close()
  }
}
