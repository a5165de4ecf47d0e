import { after, before, describe } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeIdempotencyContract } from '../../request-reply/test/idempotency-contract.ts'
import { describeIdempotencyKills } from '../../request-reply/test/idempotency-kills-contract.ts'
import { hasRedis, noRedis, openTestRedis, type TestRedis } from '../../../test/support/redis.ts'
import { redisIdempotency } from '../src/idempotency-store.ts'

describe('in Redis', { skip: hasRedis() ? false : noRedis }, () => {
  let redis: TestRedis
  before(async () => {
    redis = await openTestRedis()
  })
  after(() => redis.close())

  const target = {
    open: async () => {
      const [one, two] = [redisIdempotency({ url: redis.url }), redisIdempotency({ url: redis.url })]
      return {
        one,
        two,
        pass: (time: number) => sleep(time).then(() => undefined),
        close: async () => void (await Promise.all([one.close(), two.close()])),
      }
    },
  }
  describeIdempotencyContract('Redis', target)
  describeIdempotencyKills('Redis', target)
})
