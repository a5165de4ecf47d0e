/** Which Redis the lock is in: REDIS_URL's, the one at the usual port, or one of our own where its program is installed. */
import { findFreePort, messageOf, StartError, SupervisedChild } from '@milena/hosting'
import { Redis } from 'ioredis'
import { spawnSync } from 'node:child_process'
import type { RedisConfig } from './redis-server.ts'

const usual = 'redis://127.0.0.1:6379'
const entry = new URL('redis-server.ts', import.meta.url)

/** What is missing when there is none. */
export const noRedis =
  'no Redis: REDIS_URL names none, none answers at redis://127.0.0.1:6379, and redis-server is not installed'

export interface FoundRedis {
  readonly url: string
  close(): Promise<void>
}

/** @throws StartError when the one that REDIS_URL names does not answer */
export async function findRedis(log: (line: string) => void): Promise<FoundRedis | undefined> {
  const named = process.env['REDIS_URL'] || undefined
  try {
    await ping(named ?? usual)
    return { url: named ?? usual, close: async () => {} }
  } catch (error) {
    if (named !== undefined)
      throw new StartError(
        `no Redis answers at REDIS_URL (${messageOf(error)}): start it, or unset REDIS_URL`,
      )
  }
  const program = 'redis-server'
  if (spawnSync(program, ['--version'], { stdio: 'ignore' }).status !== 0) return undefined
  const config: RedisConfig = { program, port: await findFreePort() }
  const child = new SupervisedChild(
    { name: 'redis', entry, config },
    { restart: false, onChange: () => {}, log },
  )
  await child.start()
  return { url: `redis://127.0.0.1:${config.port}`, close: () => child.stop() }
}

async function ping(url: string): Promise<void> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null, connectTimeout: 1_000 })
  redis.on('error', () => {})
  try {
    await redis.connect()
    await redis.ping()
  } finally {
    redis.disconnect()
  }
}
