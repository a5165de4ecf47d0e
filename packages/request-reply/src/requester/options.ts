import { hostname } from 'node:os'
import { systemClock, type Clock } from '../clock.ts'
import { isTimeout, longestTimeout } from '../contract/operation.ts'
import { OptionsError, unknownOptions } from '../errors.ts'
import { systemRandom, type RandomBytes } from '../random.ts'
import type { ReplyRouting } from '../routing/routing.ts'
import { eitherSource, type TransportSource } from '../transport/open.ts'
import type { WireProfile } from '../wire/profile.ts'
import { springProfile } from '../wire/spring.ts'
import type { LateReply } from './reply.ts'

export interface RequesterOptions extends TransportSource {
  /** How replies find this instance. There is no default: the usual one is `replyPartition({ topic })`. */
  readonly replyRouting: ReplyRouting
  /**
   * This instance's own name, unique among those that are alive: 1 to 100 letters, digits, `.`, `_` and `-`.
   * Default: host name, process id and eight random hexadecimal digits.
   */
  readonly instanceId?: string
  /** Milliseconds to wait for a reply when neither the request nor its operation says; default 5 000. */
  readonly timeout?: number
  /** The most requests that may be pending; one more is rejected at once with `MILENA_OVERLOADED`. Default 10 000. */
  readonly maxPending?: number
  /** The most bytes of keys, values and headers that may be pending; more is rejected likewise. Default 64 MiB. */
  readonly maxPendingBytes?: number
  /** Create missing topics, for development: reply topics as their routing has them, request topics with 6 partitions. Default false. */
  readonly createTopics?: boolean
  /** Milliseconds that `close()` waits for pending replies; default 10 000. */
  readonly drainTimeout?: number
  /**
   * Called with the reply of a request that had timed out or was cancelled, together with that request. May be
   * asynchronous; when it throws or rejects, that is a warning and nothing else.
   */
  readonly onLateReply?: (late: LateReply) => void | Promise<void>
  /**
   * How many requests without a reply, and how many with one, are remembered to tell late and duplicate replies; default
   * 10 000 each. Those without a reply are fewer when they have more than `maxPendingBytes`.
   */
  readonly remember?: number
  /** How correlation id and reply address travel; default `springProfile`. */
  readonly profile?: WireProfile
  /** For simulations; default: the machine's. */
  readonly clock?: Clock
  /** For simulations; default: the system's cryptographic generator. */
  readonly random?: RandomBytes
}

export type RequesterSettings = Required<Omit<RequesterOptions, 'kafka' | 'transport' | 'onLateReply'>> & {
  readonly onLateReply: ((late: LateReply) => void | Promise<void>) | undefined
}

/** @throws OptionsError that lists every problem. */
export function readRequesterOptions(options: RequesterOptions): RequesterSettings {
  const random = options.random ?? systemRandom
  const settings: RequesterSettings = {
    replyRouting: options.replyRouting,
    instanceId: options.instanceId ?? defaultInstanceId(random),
    timeout: options.timeout ?? 5_000,
    maxPending: options.maxPending ?? 10_000,
    maxPendingBytes: options.maxPendingBytes ?? 64 * 1024 * 1024,
    createTopics: options.createTopics ?? false,
    drainTimeout: options.drainTimeout ?? 10_000,
    onLateReply: options.onLateReply,
    remember: options.remember ?? 10_000,
    profile: options.profile ?? springProfile,
    clock: options.clock ?? systemClock,
    random,
  }
  const known = new Set(['kafka', 'transport', ...Object.keys(settings)])
  const problems = unknownOptions(options, known)
  if ((options.kafka === undefined) === (options.transport === undefined)) problems.push(eitherSource)
  if (typeof settings.replyRouting?.open !== 'function') {
    problems.push('replyRouting is missing; the usual one is replyPartition({ topic })')
  }
  if (!/^[A-Za-z0-9._-]{1,100}$/.test(settings.instanceId)) {
    problems.push(
      `instanceId must have 1 to 100 letters, digits, '.', '_' or '-', not ${JSON.stringify(settings.instanceId)}`,
    )
  }
  if (!isTimeout(settings.timeout))
    problems.push(`timeout must be 1 to ${longestTimeout} ms, not ${settings.timeout}`)
  if (!(settings.drainTimeout >= 0 && settings.drainTimeout <= longestTimeout)) {
    problems.push(`drainTimeout must be 0 to ${longestTimeout} ms, not ${settings.drainTimeout}`)
  }
  for (const [name, least] of [
    ['maxPending', 1],
    ['maxPendingBytes', 1],
    ['remember', 0],
  ] as const) {
    if (!Number.isSafeInteger(settings[name]) || settings[name] < least) {
      problems.push(`${name} must be a whole number of at least ${least}, not ${settings[name]}`)
    }
  }
  if (settings.onLateReply !== undefined && typeof settings.onLateReply !== 'function') {
    problems.push('onLateReply must be a function')
  }
  if (problems.length > 0) throw new OptionsError('createRequester', problems)
  return settings
}

function defaultInstanceId(random: RandomBytes): string {
  const host = hostname()
    .replaceAll(/[^A-Za-z0-9._-]/g, '-')
    .slice(0, 60)
  return `${host}-${process.pid}-${random(4).toString('hex')}`
}
