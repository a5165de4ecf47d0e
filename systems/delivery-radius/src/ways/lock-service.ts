/** Entry: a service that carries out triggers under locks, while their callers wait. */
import { connectDatabase, createApp, isUndone, listen, runChild, sendProblem } from '@milena/hosting'
import { Redis } from 'ioredis'
import { connectionWait, rowLockTimeout } from './lock-options.ts'
import { RedisLocks } from './redis-locks.ts'
import { askedSchema, countersSchema, resultSchema } from './result.ts'
import { RowLocks } from './row-locks.ts'

export interface LockServiceConfig {
  readonly kind: 'row-locks' | 'sorted-row-locks' | 'redis-lock'
  readonly databaseUrl: string
  /** Where its table `shops` is. */
  readonly schema: string
  readonly connections: number
  readonly redisUrl: string | undefined
  /** Begins the locks' names in Redis. */
  readonly prefix: string
}

export interface LockServiceFacts {
  readonly url: string
}

runChild(async (config: LockServiceConfig) => {
  const { kind, databaseUrl, schema, connections, redisUrl, prefix } = config
  const pool = await connectDatabase(databaseUrl, {
    max: connections,
    connectionTimeoutMillis: connectionWait,
    options: `-c search_path=${schema}`,
  })
  const redis = redisUrl === undefined ? undefined : new Redis(redisUrl)
  const service =
    redis === undefined
      ? new RowLocks(pool, { sorted: kind === 'sorted-row-locks', lockTimeout: rowLockTimeout })
      : new RedisLocks(redis, pool, { prefix, concurrency: connections })
  const app = await createApp(`Delivery radius, ${kind}`, 'cut', { bodyLimit: 1024 * 1024 })
  app.post(
    '/triggers',
    { schema: { summary: 'Carries out a trigger', body: askedSchema, response: { 200: resultSchema } } },
    async (request, reply) => {
      try {
        return await service.carryOut(request.body)
      } catch (error) {
        // Rolled back, nothing of it was done; but of a commit without an answer nobody knows.
        const [status, title] = isUndone(error)
          ? [503, 'The trigger was not carried out']
          : [504, 'The trigger may be carried out or not']
        return sendProblem(reply, { title, status, detail: String(error) })
      }
    },
  )
  app.get(
    '/stats',
    { schema: { summary: 'What it has met', response: { 200: countersSchema } } },
    () => service.counting,
  )
  const facts: LockServiceFacts = { url: `http://127.0.0.1:${await listen(app, 0)}` }
  return {
    facts,
    async close({ orphaned }) {
      if (orphaned) return
      await app.close()
      redis?.disconnect()
      await pool.end()
    },
  }
})
