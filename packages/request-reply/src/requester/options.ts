import { hostname } from 'node:os'
import { systemClock, type Clock } from '../clock.ts'
import { isTimeout, longestTimeout } from '../contract/operation.ts'
import { OptionsError } from '../errors.ts'
import {
  problemsOfDrain,
  problemsOfParts,
  problemsOfSwitches,
  refuseOtherThanOptions,
  unknownOptions,
} from '../given.ts'
import { systemRandom, type RandomBytes } from '../random.ts'
import { topicsOf } from '../routing/reply-routes.ts'
import type { ReplyRouting } from '../routing/routing.ts'
import { eitherSource, type TransportSource } from '../transport/open.ts'
import type { RecordPosition } from '../transport/transport.ts'
import type { HeaderInput, MessageHeaders } from '../wire/headers.ts'
import type { WireProfile } from '../wire/profile.ts'
import { springProfile } from '../wire/spring.ts'
import { problemOfLogger, type Logger } from '../warnings.ts'
import { classOf, foreign, said, saidWord, wordsOf } from '../words.ts'
import { readJournalOptions, type JournalSettings, type RequesterJournalOptions } from './journal-options.ts'
import type { LateReply } from './reply.ts'

/** What is known of a request when its record is made. */
export interface OutgoingRequest {
  readonly operation: string
  readonly topic: string
  /** The value as its caller gave it. */
  readonly request: unknown
  readonly key: Buffer | null
  /** Those that its caller gave, and its codec; what the function returns comes behind them. */
  readonly headers: MessageHeaders
  /** In hexadecimal, 32 digits; `undefined` of one that is sent one way. */
  readonly correlationId: string | undefined
}

export interface RequesterOptions extends TransportSource {
  /**
   * How replies find this instance. There is no default: the usual one is `replyPartition({ topic })`. A list where there
   * are several reply topics, each with its own: the first is where replies go, and `RequestOptions.replyTopic` names
   * another one.
   */
  readonly replyRouting: ReplyRouting | readonly ReplyRouting[]
  /**
   * This instance's own name, unique among those that are alive: 1 to 100 letters, digits, `.`, `_` and `-`.
   * Default: host name, process id and eight random hexadecimal digits.
   */
  readonly instanceId?: string
  /** Milliseconds to wait for a reply when neither the request nor its operation says; default 5 000. */
  readonly timeout?: number
  /**
   * The most requests that may be pending, or be with the transport still, at once; one more is rejected at once with
   * `MILENA_OVERLOADED`. Default 10 000.
   */
  readonly maxPending?: number
  /**
   * The most bytes of keys, values and headers that they may have, and of what `requestMany` has gathered; more is rejected likewise, and a request that has more
   * by itself with `MILENA_RECORD_TOO_LARGE`. Default 64 MiB.
   */
  readonly maxPendingBytes?: number
  /**
   * The most bytes of a reply's value; a larger one is not parsed, and its request ends in `MILENA_REPLY_INVALID`.
   * Default 8 MiB.
   */
  readonly maxReplyBytes?: number
  /**
   * What becomes of a new request while replies cannot be received (`health()` says why): `refuse`, with
   * `MILENA_NOT_RECEIVING`, or `wait`, within its timeout. Either way it is not sent. Default `refuse`.
   */
  readonly whileNotReceiving?: 'refuse' | 'wait'
  /**
   * Headers for each request, such as a tenant's name, beside those that its caller gives. Called before the request is
   * accepted, in its caller's async context (`AsyncLocalStorage`); what it throws ends the request in
   * `MILENA_OPTIONS_INVALID`. Of a name that the caller has given too the receiver takes this one, the last; who would
   * rather have the caller's looks into `headers`. Names of the library's own headers are left out.
   */
  readonly headers?: (outgoing: OutgoingRequest) => HeaderInput | undefined
  /**
   * Where to begin to read replies: the positions that an instance before this one, with the same fixed reply address,
   * had kept for its requests (`PendingRequest.repliesFrom`). Replies that are read before their request is registered
   * again are kept until it is, within the bounds of `remember` and `maxPendingBytes`. Default: where the log ends now.
   */
  readonly resumeFrom?: readonly RecordPosition[]
  /**
   * Where requests are written down before they are sent, so that a process that was killed and is started under the same
   * `instanceId` finishes them. It needs an `instanceId`, and a routing that can say from where replies can appear.
   */
  readonly journal?: RequesterJournalOptions
  /** Create missing topics, for development: reply topics as their routing has them, request topics with 6 partitions. Default false. */
  readonly createTopics?: boolean
  /** Milliseconds that `close()` waits for pending replies, at most an hour; default 10 000. `close({ timeout: Infinity })` has no bound. */
  readonly drainTimeout?: number
  /**
   * Called with the reply of a request that had timed out or was cancelled, or had been answered with an error that left
   * its effect open, or with what comes when a `requestMany` has its outcome, together with that request. May be asynchronous; when it throws or rejects, that is a warning and
   * nothing else.
   */
  readonly onLateReply?: (late: LateReply) => void | Promise<void>
  /**
   * How many requests without a reply, how many with one, and how many `requestMany` with all of theirs are remembered to
   * tell late and duplicate replies; default 10 000 each. Those without a reply are fewer when they have more than `maxPendingBytes`. Those that are forgotten are
   * counted, and the first is a warning.
   */
  readonly remember?: number
  /** Where to tell what an operator should know, of one kind one line in 10 s; default: `process.emitWarning`. See `docs/warnings.md`. */
  readonly logger?: Logger
  /** How correlation id and reply address travel; default `springProfile`. */
  readonly profile?: WireProfile
  /** For simulations; default: the machine's. */
  readonly clock?: Clock
  /** For simulations; default: the system's cryptographic generator. */
  readonly random?: RandomBytes
}

type WithoutDefault = 'onLateReply' | 'headers' | 'resumeFrom' | 'logger'

export type RequesterSettings = Required<
  Omit<RequesterOptions, 'kafka' | 'transport' | 'journal' | 'replyRouting' | WithoutDefault>
> & { readonly journal: JournalSettings | undefined; readonly replyRouting: readonly ReplyRouting[] } & {
  readonly [Name in WithoutDefault]: RequesterOptions[Name] | undefined
}

/** @throws OptionsError that lists every problem. */
export function readRequesterOptions(options: RequesterOptions): RequesterSettings {
  refuseOtherThanOptions('createRequester', options)
  const wrongParts = problemsOfParts(options)
  const random = (wrongParts.length === 0 ? options.random : undefined) ?? systemRandom
  const settings: RequesterSettings = {
    replyRouting: [options.replyRouting].flat(),
    instanceId: options.instanceId ?? defaultInstanceId(random),
    timeout: options.timeout ?? 5_000,
    maxPending: options.maxPending ?? 10_000,
    maxPendingBytes: options.maxPendingBytes ?? 64 * 1024 * 1024,
    maxReplyBytes: options.maxReplyBytes ?? 8 * 1024 * 1024,
    whileNotReceiving: options.whileNotReceiving ?? 'refuse',
    headers: options.headers,
    resumeFrom: options.resumeFrom,
    journal: undefined,
    createTopics: options.createTopics ?? false,
    drainTimeout: options.drainTimeout ?? 10_000,
    onLateReply: options.onLateReply,
    remember: options.remember ?? 10_000,
    logger: options.logger,
    profile: options.profile ?? springProfile,
    clock: options.clock ?? systemClock,
    random,
  }
  const known = new Set(['kafka', 'transport', ...Object.keys(settings)])
  const problems = [...unknownOptions('createRequester', options, known), ...wrongParts]
  if ((options.kafka === undefined) === (options.transport === undefined)) problems.push(eitherSource)
  const { instanceId } = settings as { readonly instanceId: unknown }
  if (typeof instanceId !== 'string' || !/^[A-Za-z0-9._-]{1,100}$/.test(instanceId)) {
    const given = typeof instanceId === 'string' ? JSON.stringify(foreign(instanceId, 120)) : said(instanceId)
    problems.push(`instanceId must have 1 to 100 letters, digits, '.', '_' or '-', not ${given}`)
  }
  problems.push(...problemsOfRouting(settings.replyRouting, settings.instanceId))
  if (!isTimeout(settings.timeout))
    problems.push(`timeout must be 1 to ${longestTimeout} ms, not ${said(settings.timeout)}`)
  problems.push(...problemsOfDrain(settings))
  if (!['refuse', 'wait'].includes(settings.whileNotReceiving)) {
    problems.push(`whileNotReceiving must be 'refuse' or 'wait', not ${saidWord(settings.whileNotReceiving)}`)
  }
  if (settings.resumeFrom !== undefined && !Array.isArray(settings.resumeFrom)) {
    problems.push(`resumeFrom must be a list of positions, not ${said(settings.resumeFrom)}`)
  }
  for (const [name, least] of [
    ['maxPending', 1],
    ['maxPendingBytes', 1],
    ['maxReplyBytes', 0],
    ['remember', 0],
  ] as const) {
    if (!Number.isSafeInteger(settings[name]) || settings[name] < least) {
      problems.push(`${name} must be a whole number of at least ${least}, not ${said(settings[name])}`)
    }
  }
  problems.push(...problemsOfSwitches(options, ['createTopics']))
  for (const name of ['onLateReply', 'headers'] as const) {
    if (settings[name] !== undefined && typeof settings[name] !== 'function') {
      problems.push(`${name} must be a function, not ${said(settings[name])}`)
    }
  }
  const logger = problemOfLogger(settings.logger)
  if (logger !== undefined) problems.push(logger)
  const journal = options.journal === undefined ? undefined : readJournalOptions(options.journal, problems)
  if (options.journal !== undefined && options.instanceId === undefined)
    problems.push('a journal needs an instanceId: the one under which the process is started again')
  if (options.journal !== undefined && options.resumeFrom !== undefined)
    problems.push('resumeFrom cannot be given with a journal, which has its own positions')
  if (problems.length > 0) throw new OptionsError('createRequester', problems)
  return journal === undefined ? settings : { ...settings, journal }
}

function problemsOfRouting(routings: readonly ReplyRouting[], instanceId: string): readonly string[] {
  if (routings.length === 0 || routings.includes(undefined as never))
    return ['replyRouting is missing; the usual one is replyPartition({ topic })']
  if (routings.some((routing) => typeof Object(routing).open !== 'function'))
    return [
      `replyRouting must be a reply routing or a list of them, such as replyPartition({ topic }), not ${routings.map(classOf).join(', ')}`,
    ]
  if (routings.length === 1) return []
  try {
    topicsOf(routings, instanceId)
    return []
  } catch (error) {
    return error instanceof OptionsError
      ? error.problems.map((problem) => `replyRouting: ${problem}`)
      : [wordsOf(error)]
  }
}

function defaultInstanceId(random: RandomBytes): string {
  const host = hostname()
    .replaceAll(/[^A-Za-z0-9._-]/g, '-')
    .slice(0, 60)
  return `${host}-${process.pid}-${random(4).toString('hex')}`
}
