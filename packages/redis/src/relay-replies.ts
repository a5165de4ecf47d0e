/**
 * `relayReplies`: the replier's side of the relay. Each reply goes to its Kafka topic as always, and beside that to Redis:
 * kept under `kafka:reply:<correlationId>` for `ttl`, and published in the channel of that name, for `redisRelay`.
 *
 * It is record middleware, to be given first: then stored replies and dead letters are relayed as well.
 *
 * Guaranteed: Kafka's record is as durable as ever, and no reply waits for Redis. Not guaranteed: that Redis gets it. While
 * Redis is away replies are not relayed (counted in `stats()`), and what the replier answers in the handler's place at
 * `handlerTimeout` goes to Kafka alone.
 */
import {
  OptionsError,
  replyHeaders,
  type Outcome,
  type RawRequest,
  type RecordMiddleware,
  type ReplierParts,
} from '@milena/request-reply'
import { connectRedis, problemOfSource, type RedisConnection, type RedisSource } from './connection.ts'
import { kindOf, unknownOptions } from './given.ts'
import { encodeReply } from './relay-message.ts'

export interface RelayRepliesOptions extends RedisSource {
  /** Reply topics whose replies are relayed: those of `redisRelay`. Default: all. */
  readonly replyTopics?: readonly string[] | undefined
  /** Milliseconds for which a reply is kept for those who ask for it; longer than requests wait. Default 60 000. */
  readonly ttl?: number | undefined
  /** What stands before the correlation id in hexadecimal, in keys and channels; default `kafka:reply:`. */
  readonly prefix?: string | undefined
  /** Replies that may be on their way to Redis at once; more are not relayed. Default 10 000. */
  readonly maxInFlight?: number | undefined
}

export interface RelayStats {
  readonly relayed: number
  /** Replies that Redis did not get: it was away, refused, or too many were on their way. Kafka has them. */
  readonly notRelayed: number
  readonly inFlight: number
}

/** The middleware, and how it goes. */
export interface ReplyRelay extends RecordMiddleware {
  stats(): RelayStats
}

export const defaultPrefix = 'kafka:reply:'

const known: readonly (keyof RelayRepliesOptions)[] = [
  'url',
  'client',
  'replyTopics',
  'ttl',
  'prefix',
  'maxInFlight',
]

/** @throws OptionsError `MILENA_OPTIONS_INVALID` */
export function relayReplies(options: RelayRepliesOptions): ReplyRelay {
  const problems = unknownOptions('relayReplies', options, known)
  const { replyTopics, ttl = 60_000, prefix = defaultPrefix, maxInFlight = 10_000 } = options
  const problem = problemOfSource(options)
  if (problem !== undefined) problems.push(problem)
  if (!Number.isSafeInteger(ttl) || ttl < 1)
    problems.push(`ttl must be a whole number from 1, not ${kindOf(ttl)}`)
  if (!Number.isSafeInteger(maxInFlight) || maxInFlight < 1)
    problems.push(`maxInFlight must be a whole number from 1, not ${kindOf(maxInFlight)}`)
  if (typeof prefix !== 'string') problems.push('prefix must be a text')
  if (replyTopics !== undefined && !isListOfNames(replyTopics))
    problems.push('replyTopics must be a list of names')
  if (problems.length > 0) throw new OptionsError('relayReplies', problems)

  const wanted = replyTopics && new Set(replyTopics)
  let connection: RedisConnection | undefined
  let [relayed, notRelayed, inFlight, away] = [0, 0, 0, false]

  const failed = (replier: ReplierParts, error: unknown): void => {
    notRelayed++
    if (!away) replier.warn('replies are not relayed through Redis; Kafka has them', {}, error)
    away = true
  }

  function relay(
    { replier, record }: RawRequest,
    correlationId: Buffer,
    outcome: Outcome & { kind: 'reply' | 'error' },
  ): void {
    const client = connection?.client
    if (client === undefined) return
    if (inFlight >= maxInFlight)
      return failed(replier, new Error(`${maxInFlight} replies are on their way to it`))
    const value = outcome.kind === 'reply' ? outcome.value : null
    const headers = replyHeaders(replier.profile, record.headers, correlationId, outcome)
    const message = encodeReply({ value, headers })
    const name = prefix + correlationId.toString('hex')
    inFlight++
    client
      .pipeline()
      .set(name, message, 'PX', ttl)
      .publish(name, message)
      .exec()
      .then((results) => {
        const error = results?.find(([refusal]) => refusal !== null)?.[0]
        if (error) throw error
        relayed++
        if (away) replier.warn('replies are relayed through Redis again', {})
        away = false
      })
      .catch((error: unknown) => failed(replier, error))
      .finally(() => inFlight--)
  }

  async function middleware(request: RawRequest, next: () => Promise<Outcome>): Promise<Outcome> {
    const outcome = await next()
    const { correlationId, replyTo } = request
    if (outcome.kind !== 'reply' && outcome.kind !== 'error') return outcome
    if (correlationId === undefined || replyTo === undefined) return outcome
    if (wanted === undefined || wanted.has(replyTo.topic)) relay(request, correlationId, outcome)
    return outcome
  }

  return Object.assign(middleware, {
    stats: () => ({ relayed, notRelayed, inFlight }),
    extension: {
      open(): void {
        connection = connectRedis(options)
      },
      close(): void {
        connection?.close()
        connection = undefined
      },
    },
  })
}

function isListOfNames(value: unknown): boolean {
  return Array.isArray(value) && value.every((name) => typeof name === 'string' && name !== '')
}
