export { pingRedis, type RedisSource } from './connection.ts'
export { redisRelay, type RedisRelayOptions } from './redis-relay.ts'
export { relayReplies, type RelayRepliesOptions, type RelayStats, type ReplyRelay } from './relay-replies.ts'
export {
  redisIdempotency,
  type RedisIdempotencyOptions,
  type RedisIdempotencyStore,
} from './idempotency-store.ts'
