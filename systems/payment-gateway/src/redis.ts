/** Which Redis the relay goes through, where there is one. */
import { messageOf, StartError } from '@milena/hosting'
import { pingRedis } from '@milena/redis'

const usual = 'redis://127.0.0.1:6379'

/** What is missing when there is none. */
export const noRedis = `none answers at ${usual}; start one, or name one with REDIS_URL=redis://host:port`

/** @throws StartError when the one that REDIS_URL names does not answer */
export async function findRedis(): Promise<string | undefined> {
  const named = process.env['REDIS_URL'] || undefined
  const url = named ?? usual
  try {
    await pingRedis({ url }, named === undefined ? 500 : 5_000)
    return url
  } catch (error) {
    if (named === undefined) return undefined
    throw new StartError(`no Redis answers at REDIS_URL (${messageOf(error)}): start it, or unset REDIS_URL`)
  }
}
