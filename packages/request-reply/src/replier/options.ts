import { systemClock, type Clock } from '../clock.ts'
import { longestTimeout } from '../contract/operation.ts'
import { OptionsError } from '../errors.ts'
import {
  problemsOfDrain,
  problemsOfParts,
  problemsOfSwitches,
  refuseOtherThanOptions,
  unknownOptions,
} from '../given.ts'
import type { TransportSource } from '../transport/open.ts'
import type { StartPosition } from '../transport/transport.ts'
import type { HeaderInput } from '../wire/headers.ts'
import type { WireProfile } from '../wire/profile.ts'
import { springProfile } from '../wire/spring.ts'
import { said, saidWord } from '../words.ts'
import type { ForwardedName, HandlerContext } from './context.ts'
import type { SelectOperation } from './dispatch.ts'
import type { BeforeFinish } from './before-finish.ts'
import { problemOfPattern } from '../wire/reply-topics.ts'
import { readNames, readReplyHeaders, type ReplyHeaders } from './reply-headers.ts'
import { ReservedHeaders } from '../wire/reserved-headers.ts'
import { problemOfLogger, type Logger } from '../warnings.ts'

export interface ReplierOptions extends TransportSource {
  /** The consumer group: repliers of one group share the requests among them. */
  readonly groupId: string
  /**
   * How many handlers run at once, over all partitions; default 64, which suits handlers that wait for something else.
   * Records of one key are handled one after the other whatever this says.
   */
  readonly concurrency?: number
  /**
   * Topics that a reply may go to: exact names, or prefixes that end in `*`. Default, for each request topic: the names
   * that share its prefix up to the last `.`, `_` or `-`, and go on as a reply topic's do (`isReplyTopicByDefault`):
   * `payment_request` allows `payment_reply`, `payment_replies.gw-1` and `payment_response`, and not `payment_events`. A topic that this
   * replier handles, and one that begins with `__`, is never allowed; an operation's `replyTo` always is.
   */
  readonly replyTopics?: readonly string[]
  /**
   * Names the operation of a request without `milena-operation` header (somebody else's requester) on a topic with
   * several operations. Without it, or when it returns `undefined`, such a request is answered with
   * `MILENA_OPERATION_UNKNOWN`.
   */
  readonly select?: SelectOperation
  /**
   * What becomes of a request for whose operation there is no handler here: `answer`, the default, with
   * `MILENA_OPERATION_UNKNOWN`; `ignore` passes it over (`operation-unknown`, counted and told), for a topic whose
   * operations are handled by several groups.
   */
  readonly unknownOperations?: 'answer' | 'ignore'
  /**
   * Milliseconds by which a request's deadline may be over, by this replier's clock, before it counts; default 1 000, never
   * more than the request's own timeout. The requester's clock may differ: where the request states its timeout, and it is
   * known here since when it can have been in the log, it is handled for as long as that timeout, and a warning says that
   * clocks differ.
   */
  readonly clockTolerance?: number
  /**
   * The oldest request that is handled, in milliseconds since its record was written; default: any. An older one, of a
   * backlog whose requests state no deadline, is answered with `MILENA_REQUEST_TOO_OLD`.
   */
  readonly maxAge?: number
  /** The largest value, in bytes, that is decoded; default 8 MiB. A larger one is answered with `MILENA_RECORD_TOO_LARGE`. */
  readonly maxRequestBytes?: number
  /**
   * Headers of the request that its reply carries too (of each name the last); default those of a trace, `traceparent`
   * and `tracestate` (W3C Trace Context).
   */
  readonly copyHeaders?: readonly string[]
  /**
   * Headers that every reply carries. As a function it is called for every request that has reached an operation, error
   * replies included. Neither these nor the copied ones can be named as the library's own headers are.
   */
  readonly replyHeaders?: HeaderInput | ((context: HandlerContext) => HeaderInput)
  /**
   * Headers of the request that `context.forward()` hands on to the requests which its handler makes (of each name the
   * last); default those of a trace, `traceparent` and `tracestate` (W3C Trace Context) and `baggage` (W3C Baggage). The
   * library's own headers cannot be named: a request has its own.
   */
  readonly forwardHeaders?: readonly string[]
  /**
   * Whether the error reply to a handler's unexpected failure has the failure's message and stack. Default false: a
   * general message. A `ReplyError` always shows its code and message, and never its stack.
   */
  readonly exposeErrors?: boolean
  /**
   * Milliseconds from the first finished request to the commit that covers it; default 100. A commit is a write to the
   * brokers, so it covers what has gathered; a longer interval means fewer commits, and more requests that are
   * handled again after a crash. A rebalance and `close()` commit at once.
   */
  readonly commitInterval?: number
  /**
   * Requests that may be in hand, read and not yet answered, before reading stops; default 1 000, or four times
   * `concurrency` if that is more. A quarter of them is the share of one reply address; what waits beyond that for an
   * address that acknowledges nothing does not count, up to as many again. Retry topics' records have as many again for
   * themselves, and so it is with `maxInHandBytes`.
   */
  readonly maxInHand?: number
  /**
   * Bytes that may be in hand before reading stops; default 32 MiB. Of each request its key, value and headers, its reply
   * until the brokers have acknowledged it, and what its objects take: 700 bytes, and 280 for each header.
   */
  readonly maxInHandBytes?: number
  /**
   * How many requests of a partition are read beyond one that is not finished; default 10 000. Then the partition is not
   * read on before that one is finished; `health()` and a warning say so. A commit never passes an unfinished request;
   * which of those behind it are finished stands in its metadata, so that they are not handled again after a crash. This
   * bounds what has to fit there, and what is handled again where it is lost (`docs/commits.md`). A lower bound makes one
   * handler that hangs stop its partition sooner (`handlerTimeout` ends that).
   */
  readonly maxAhead?: number
  /**
   * Milliseconds that a handler, with its middleware, may take; default: no bound. Then its request is answered with
   * `MILENA_HANDLER_TIMEOUT` (whether the work is done is not known), its `signal` fires, and the request is finished
   * when that reply is acknowledged. What the handler returns later is sent as a late reply. Its key and its place
   * among `concurrency` stay taken until it ends; see `leaveBehind` of `handle`.
   */
  readonly handlerTimeout?: number
  /** Milliseconds after which a warning names a request whose handler still runs, and says when no slot became free for so long; default 30 000. */
  readonly slowAfter?: number
  /**
   * Milliseconds after its request's deadline for which a reply is still tried that the brokers do not acknowledge; default
   * 30 000. Then it is given up (`reply-undeliverable`), so that a reply topic without a leader does not hold up others.
   */
  readonly replyGrace?: number
  /** Milliseconds for which a reply is tried whose request has no deadline; default 120 000. */
  readonly replyTimeout?: number
  /** Awaited before any record counts as finished, after the operation's own; see `BeforeFinish`. Default none. */
  readonly beforeFinish?: BeforeFinish
  /** Milliseconds that a rebalance, and `close()`, wait for running handlers and their replies, at most an hour; default 10 000. */
  readonly drainTimeout?: number
  /**
   * Milliseconds without a heartbeat after which the group gives this replier's partitions to others, and after which it
   * lets go of them by itself when its coordinator does not answer; default 15 000, which is longer than Apache Kafka
   * takes to replace a broker that died (`broker.session.timeout.ms`, 9 000, and a little more).
   */
  readonly sessionTimeout?: number
  /** Milliseconds between heartbeats; default 1 000. */
  readonly heartbeatInterval?: number
  /** Static membership: a restart under the same id, within the session timeout, moves no partition. Default none. */
  readonly groupInstanceId?: string
  /** Where to begin in a partition for which the group has committed nothing; default `earliest`, so that a request sent before the group's first start is answered. */
  readonly from?: StartPosition
  /** Create missing request topics, with 6 partitions, for development. Default false: a missing topic is `MILENA_TOPIC_MISSING`. */
  readonly createTopics?: boolean
  /** How correlation id and reply address travel; default `springProfile`. */
  readonly profile?: WireProfile
  /** Where to tell what an operator should know, of one kind one line in 10 s; default: `process.emitWarning`. See `docs/warnings.md`. */
  readonly logger?: Logger
  /** For simulations; default: the machine's. */
  readonly clock?: Clock
}

/** What is as it was given, or stays away. */
type WithoutDefault =
  | 'replyTopics'
  | 'select'
  | 'maxAge'
  | 'handlerTimeout'
  | 'beforeFinish'
  | 'sessionTimeout'
  | 'heartbeatInterval'
  | 'groupInstanceId'
  | 'logger'

/** What is made of several options, or of one in another form. */
interface Read {
  readonly chosenHeaders: ReplyHeaders
  readonly forwardHeaders: readonly ForwardedName[]
  readonly reserved: ReservedHeaders
}

export type ReplierSettings = Read &
  Required<Omit<ReplierOptions, (typeof readOtherwise)[number] | WithoutDefault>> & {
    readonly [Name in WithoutDefault]: ReplierOptions[Name] | undefined
  }

/** Options that the settings do not have as they were given. */
const readOtherwise = ['kafka', 'transport', 'copyHeaders', 'replyHeaders', 'forwardHeaders'] as const

/** @throws OptionsError that lists every problem. */
export function readReplierOptions(options: ReplierOptions): ReplierSettings {
  refuseOtherThanOptions('createReplier', options)
  const wrongParts = problemsOfParts(options)
  const problems = [...wrongParts]
  const concurrency = options.concurrency ?? 64
  const profile = (wrongParts.length === 0 ? options.profile : undefined) ?? springProfile
  const clock = options.clock ?? systemClock
  const reserved = new ReservedHeaders(profile)
  const wholeNumber = (name: string, value: number | undefined, least: number, most: number): void => {
    if (value === undefined || (Number.isSafeInteger(value) && value >= least && value <= most)) return
    problems.push(`${name} must be a whole number from ${least} to ${most}, not ${said(value)}`)
  }
  const listOf = (name: string, value: readonly string[] | undefined): readonly unknown[] => {
    if (value === undefined || Array.isArray(value)) return value ?? []
    problems.push(`${name} must be a list`)
    return []
  }

  if ((options.kafka === undefined) === (options.transport === undefined)) {
    problems.push('give either kafka: { brokers } or an open transport')
  }
  if (typeof options.groupId !== 'string' || options.groupId === '') problems.push('groupId must be a name')
  wholeNumber('concurrency', options.concurrency, 1, 100_000)
  wholeNumber('maxInHand', options.maxInHand, 1, Number.MAX_SAFE_INTEGER)
  wholeNumber('maxInHandBytes', options.maxInHandBytes, 1, Number.MAX_SAFE_INTEGER)
  wholeNumber('clockTolerance', options.clockTolerance, 0, longestTimeout)
  wholeNumber('maxAge', options.maxAge, 1, Number.MAX_SAFE_INTEGER)
  wholeNumber('maxRequestBytes', options.maxRequestBytes, 0, Number.MAX_SAFE_INTEGER)
  const { unknownOperations } = options
  if (unknownOperations !== undefined && unknownOperations !== 'answer' && unknownOperations !== 'ignore') {
    problems.push(`unknownOperations must be 'answer' or 'ignore', not ${saidWord(unknownOperations)}`)
  }
  wholeNumber('maxAhead', options.maxAhead, 1, Number.MAX_SAFE_INTEGER)
  wholeNumber('handlerTimeout', options.handlerTimeout, 1, longestTimeout)
  wholeNumber('slowAfter', options.slowAfter, 1, longestTimeout)
  wholeNumber('replyGrace', options.replyGrace, 0, longestTimeout)
  wholeNumber('replyTimeout', options.replyTimeout, 1, longestTimeout)
  if (options.beforeFinish !== undefined && typeof options.beforeFinish !== 'function') {
    problems.push('beforeFinish must be a function')
  }
  wholeNumber('commitInterval', options.commitInterval, 0, longestTimeout)
  problems.push(...problemsOfDrain(options))
  wholeNumber('sessionTimeout', options.sessionTimeout, 1, longestTimeout)
  wholeNumber('heartbeatInterval', options.heartbeatInterval, 1, longestTimeout)
  const { heartbeatInterval = 1_000, sessionTimeout = 15_000 } = options
  const areNumbers = typeof heartbeatInterval === 'number' && typeof sessionTimeout === 'number'
  if (areNumbers && heartbeatInterval >= sessionTimeout) {
    problems.push('heartbeatInterval must be less than sessionTimeout (a third of it is usual)')
  }
  const { groupInstanceId } = options
  if (groupInstanceId !== undefined && (typeof groupInstanceId !== 'string' || groupInstanceId === ''))
    problems.push('groupInstanceId must be a name')
  problems.push(...problemsOfSwitches(options, ['exposeErrors', 'createTopics']))
  if (options.from !== undefined && options.from !== 'earliest' && options.from !== 'latest') {
    problems.push(`from must be 'earliest' or 'latest', not ${saidWord(options.from)}`)
  }
  for (const pattern of listOf('replyTopics', options.replyTopics)) {
    const problem = problemOfPattern(pattern)
    if (problem !== undefined) problems.push(`replyTopics: ${problem}`)
  }
  if (options.select !== undefined && typeof options.select !== 'function') {
    problems.push('select must be a function')
  }
  const { copyHeaders = ['traceparent', 'tracestate'], replyHeaders } = options
  const chosenHeaders = readReplyHeaders({ copyHeaders, replyHeaders }, reserved, problems)
  const { forwardHeaders = ['traceparent', 'tracestate', 'baggage'] } = options
  const forwarded = readNames('forwardHeaders', forwardHeaders, reserved, problems)
  const logger = problemOfLogger(options.logger)
  if (logger !== undefined) problems.push(logger)
  const settings: Omit<ReplierSettings, keyof Read> = {
    groupId: options.groupId,
    concurrency,
    replyTopics: options.replyTopics,
    select: options.select,
    unknownOperations: unknownOperations ?? 'answer',
    clockTolerance: options.clockTolerance ?? 1_000,
    maxAge: options.maxAge,
    maxRequestBytes: options.maxRequestBytes ?? 8 * 1024 * 1024,
    exposeErrors: options.exposeErrors ?? false,
    commitInterval: options.commitInterval ?? 100,
    maxInHand: options.maxInHand ?? Math.max(1_000, 4 * concurrency),
    maxInHandBytes: options.maxInHandBytes ?? 32 * 1024 * 1024,
    maxAhead: options.maxAhead ?? 10_000,
    handlerTimeout: options.handlerTimeout,
    slowAfter: options.slowAfter ?? 30_000,
    replyGrace: options.replyGrace ?? 30_000,
    replyTimeout: options.replyTimeout ?? 120_000,
    beforeFinish: options.beforeFinish,
    drainTimeout: options.drainTimeout ?? 10_000,
    sessionTimeout: options.sessionTimeout,
    heartbeatInterval: options.heartbeatInterval,
    groupInstanceId: options.groupInstanceId,
    from: options.from ?? 'earliest',
    createTopics: options.createTopics ?? false,
    profile,
    logger: options.logger,
    clock,
  }
  const known = new Set([...readOtherwise, ...Object.keys(settings)])
  problems.unshift(...unknownOptions('createReplier', options, known))
  if (problems.length > 0) throw new OptionsError('createReplier', problems)
  const names = forwarded.map((bytes) => ({ name: bytes.toString(), bytes }))
  return { ...settings, chosenHeaders, forwardHeaders: names, reserved }
}
