/** Every function of the package that takes options refuses what is wrong with them, in its own words. */
import type * as package_ from '@milena/redis'
import * as all from '@milena/redis'
import { isMilenaError } from '@milena/request-reply'
import {
  functionsOf,
  refuseUnlisted,
  refuseWrongOptions,
  takes,
  type TakesOptions,
} from '../../../test/support/given-options.ts'

// Nobody listens there, and nobody connects before something is opened.
const url = 'redis://127.0.0.1:1'
const apart: { readonly apart: readonly ['client'] } = { apart: ['client'] }

const table: readonly TakesOptions[] = [
  takes<package_.RedisRelayOptions>(
    'redisRelay',
    all.redisRelay,
    {
      url,
      client: undefined,
      topic: 'a_reply',
      partitions: 1,
      notify: 'poll',
      pollInterval: 1_000,
      prefix: 'a:',
    },
    apart,
  ),
  takes<package_.RelayRepliesOptions>(
    'relayReplies',
    all.relayReplies,
    { url, client: undefined, replyTopics: ['a_reply'], ttl: 1_000, prefix: 'a:', maxInFlight: 1 },
    apart,
  ),
  takes<package_.RedisIdempotencyOptions>(
    'redisIdempotency',
    all.redisIdempotency,
    { url, client: undefined, prefix: 'a:' },
    apart,
  ),
  takes<package_.RedisSource>(
    'pingRedis',
    (source) => all.pingRedis(source, 5).catch(unlessAway),
    { url, client: undefined },
    apart,
  ),
]

refuseUnlisted('index.ts', functionsOf(all), table, [])
refuseWrongOptions(table, {
  isRefusal: (error) => isMilenaError(error) && error.code === 'MILENA_OPTIONS_INVALID',
  isOwn: isMilenaError,
})

/** There is no Redis at that address; that it was looked for is what counts here. */
function unlessAway(error: unknown): void {
  if (isMilenaError(error) || error instanceof TypeError) throw error
}
