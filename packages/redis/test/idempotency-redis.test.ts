import { after, before, describe } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeIdempotencyContract } from '../../request-reply/test/idempotency-contract.ts'
import { hasRedis, noRedis, openTestRedis, type TestRedis } from '../../../test/support/redis.ts'
import { redisIdempotency } from '../src/idempotency-store.ts'

describe('in Redis', { skip: hasRedis() ? false : noRedis }, () => {
  let redis: TestRedis
  before(async () => {
    redis = await openTestRedis()
  })
  after(() => redis.close())

  describeIdempotencyContract('Redis', {
    open: async () => {
      const [one, two] = [redisIdempotency({ url: redis.url }), redisIdempotency({ url: redis.url })]
      return {
        one,
        two,
        pass: (time) => sleep(time).then(() => undefined),
        close: async () => void (await Promise.all([one.close(), two.close()])),
      }
    },
  })
})
