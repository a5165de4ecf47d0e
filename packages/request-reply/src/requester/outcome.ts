/**
 * What became of a request, asked of the repliers' idempotency store.
 *
 *     first question, in a lane of its own ──▶ stored: done │ running │ released, lapsed: unknown
 *          │ nothing
 *          ▼
 *     can it be told at all? ── no ──▶ unknown, and why
 *          │ yes: the record key, when it was made, when it was given up
 *          ▼
 *     second question, behind the request in its partition and lane ──▶ still nothing: never seen
 *
 * The first one is answered while the handler runs. The second one is answered when every record of that key that stands
 * before it has come to its end: what is unknown to the store by then was not begun, and will not be.
 */
import { decodePayload, validatePayload } from '../contract/coding.ts'
import { problemOfOperation, untyped, type AnyOperation, type Operation } from '../contract/operation.ts'
import { correlationKey, outcomeQueryOf, type OutcomeAnswer } from '../contract/outcome-query.ts'
import type { StoredOutcome } from '../contract/stored-outcome.ts'
import type { ErrorCode } from '../error-facts.ts'
import {
  MilenaError,
  OptionsError,
  RemoteError,
  remoteCodes,
  remoteFacts,
  ValidationError,
} from '../errors.ts'
import type { Clock } from '../clock.ts'
import { MessageHeaders } from '../wire/headers.ts'
import { classOf, errorOf } from '../words.ts'
import { readOutcomeOptions, type OutcomeOptions, type SentRequest } from './outcome-options.ts'
import type { Reply, RequestOptions } from './reply.ts'

/** What a request is known by: its idempotency key, or, where it had none, its correlation id in hexadecimal. */
export type OutcomeKey = string | { readonly correlationId: string }

/** The reply that is kept of a request. */
export interface StoredReply<Value> {
  readonly value: Value
  readonly headers: MessageHeaders
}

/** What is known of a request's work. Times in milliseconds since the Unix epoch, by the store's clock. */
export type FoundOutcome<Value> =
  | {
      /** Its work is over: with a reply, with an error, or, where no reply was wanted, with neither. */
      readonly state: 'done'
      readonly storedAt: number
      readonly reply: StoredReply<Value> | undefined
      /** The replier's error (`RemoteError`), or why the stored reply cannot be read. */
      readonly error: MilenaError | undefined
    }
  /** Somebody is at work on it. `remaining`: milliseconds for which that process need not be heard of. */
  | { readonly state: 'running'; readonly owner: string; readonly remaining: number }
  /** Certainly not begun, by any replier that shares the store, and not to be begun. */
  | { readonly state: 'never seen' }
  | { readonly state: 'unknown'; readonly why: string; readonly cause: Error | undefined }

export interface OutcomesOptions {
  readonly clock: Clock
  /** Milliseconds for which an answer is waited for. */
  readonly timeout: number
  ask(operation: AnyOperation, key: string, options: RequestOptions): Promise<Reply<unknown>>
}

/** The answer did not come, or says that there is none: nothing is known then. */
const unanswered: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'MILENA_TIMEOUT',
  'MILENA_REMOTE_ERROR',
  'MILENA_REPLY_INVALID',
  'MILENA_CODEC_FAILED',
  'MILENA_NOT_SENT',
  'MILENA_SEND_UNKNOWN',
  'MILENA_BROKER_UNREACHABLE',
])

export class Outcomes {
  readonly #options: OutcomesOptions
  readonly #queries = new WeakMap<AnyOperation, AnyOperation>()

  constructor(options: OutcomesOptions) {
    this.#options = options
  }

  async of<RequestInput, RequestOutput, ReplyInput, ReplyOutput>(
    typed: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
    key: OutcomeKey,
    given: OutcomeOptions = {},
  ): Promise<FoundOutcome<ReplyOutput>> {
    const operation = untyped(typed)
    const problem = problemOfOperation(operation)
    if (problem !== undefined) throw new OptionsError('requester.outcome', [problem])
    const { clock } = this.#options
    const query = this.#queryOf(operation)
    const settings = readOutcomeOptions(operation, given, this.#options.timeout)
    const text = keyOf(operation, key)
    const until = clock.monotonic() + settings.timeout
    const ask = async (place: Pick<RequestOptions, 'key' | 'partition'>): Promise<Answered> => {
      const timeout = Math.max(1, Math.ceil(until - clock.monotonic()))
      const { signal } = settings
      return this.#ask(query, text, { ...place, timeout, signal })
    }
    const first = await ask({})
    if (isUnknown(first)) return first
    if (first.answer.state !== 'nothing') return told<ReplyOutput>(operation, first)
    const sent = settings.request
    const usual = operation.timeout ?? this.#options.timeout
    const doubt =
      sent === undefined ? sayMore : doubtAbout(operation, sent, usual, settings.onTheWay, clock.now())
    if (doubt !== undefined) return unknown(doubt)
    const { key: recordKey, partition } = sent!
    const second = await ask({ key: recordKey, partition })
    if (isUnknown(second))
      return unknown(`${second.why}; records of its key may still stand before it`, second.cause)
    const { answer } = second
    if (answer.state !== 'nothing') return told<ReplyOutput>(operation, second)
    const { knowsSince } = answer
    if (knowsSince === undefined)
      return unknown('the store cannot say since when it knows every key, so it may have forgotten this one')
    if (knowsSince > sent!.since - settings.clockTolerance)
      return unknown('the store has not known every key for as long as the request is old')
    return { state: 'never seen' }
  }

  #queryOf(operation: AnyOperation): AnyOperation {
    let query = this.#queries.get(operation)
    if (query === undefined) {
      const made = outcomeQueryOf(operation)
      if (made === undefined)
        throw new OptionsError('requester.outcome', [
          `the name of operation ${operation.name} is too long for its outcomes to be asked for`,
        ])
      this.#queries.set(operation, (query = untyped(made)))
    }
    return query
  }

  async #ask(query: AnyOperation, key: string, options: RequestOptions): Promise<Answered> {
    try {
      const { value, position } = await this.#options.ask(query, key, options)
      return { answer: value as OutcomeAnswer, topic: position.topic }
    } catch (error) {
      if (!(error instanceof MilenaError) || !unanswered.has(error.code)) throw error
      const isForeign = error instanceof RemoteError && error.remoteCode === remoteCodes.operationUnknown
      const why = isForeign ? 'its repliers keep no outcomes: they have no idempotency' : error.message
      return unknown(why, error)
    }
  }
}

type Unknown = FoundOutcome<never> & { readonly state: 'unknown' }
type Answered = { readonly answer: OutcomeAnswer; readonly topic: string } | Unknown

function isUnknown(answered: Answered): answered is Unknown {
  return 'state' in answered
}

function unknown(why: string, cause?: Error): Unknown {
  return { state: 'unknown', why, cause }
}

const sayMore =
  'nothing is known of it now; whether it is still to come can only be told if options.request says how it was sent'

/** Why it cannot be said that a request will not be begun any more, if so. */
function doubtAbout(
  operation: AnyOperation,
  { key, partition, since, until }: SentRequest,
  timeout: number,
  onTheWay: number,
  now: number,
): string | undefined {
  if (key === null)
    return 'nothing is known of it now, and without a record key nothing stands behind it in order'
  if (partition === undefined && operation.partition !== undefined)
    return `nothing is known of it now, and operation ${operation.name} chooses partitions itself: say which one`
  const settledAt = (until ?? since + timeout) + onTheWay
  if (now < settledAt)
    return `nothing is known of it now, and for another ${Math.ceil(settledAt - now)} ms it may still be on its way`
  return undefined
}

async function told<Value>(
  operation: AnyOperation,
  { answer, topic }: Exclude<Answered, Unknown>,
): Promise<FoundOutcome<Value>> {
  switch (answer.state) {
    case 'stored': {
      const { storedAt, outcome } = answer
      return { state: 'done', storedAt, ...(await readOutcome<Value>(operation, outcome, topic)) }
    }
    case 'running':
      return { state: 'running', owner: answer.owner, remaining: answer.remaining }
    case 'released':
      return unknown('it was begun, and given up without an outcome that is kept; it may be tried again')
    case 'lapsed':
      return unknown('it was begun by a process that has not been heard of since')
    default:
      return unknown(sayMore)
  }
}

/** What is stored, read as if it had come as a reply. */
async function readOutcome<Value>(
  operation: AnyOperation,
  outcome: StoredOutcome,
  topic: string,
): Promise<{ readonly reply: StoredReply<Value> | undefined; readonly error: MilenaError | undefined }> {
  if (outcome.kind === 'error') {
    const facts = { ...remoteFacts(outcome.code, outcome), sent: 'yes' } as const
    return { reply: undefined, error: new RemoteError(operation.name, outcome.code, outcome.message, facts) }
  }
  if (outcome.kind === 'passed over') {
    const code = outcome.reason === 'dead-lettered' ? remoteCodes.deadLettered : remoteCodes.handlerFailed
    const facts = { ...remoteFacts(code), sent: 'yes' } as const
    return { reply: undefined, error: new RemoteError(operation.name, code, outcome.detail, facts) }
  }
  if (outcome.kind !== 'reply') return { reply: undefined, error: undefined }
  const { value, headers } = outcome
  try {
    const decoded: unknown = await decodePayload(operation, 'reply', { topic, value, headers })
    const checked = await validatePayload(operation, 'reply', decoded)
    if ('issues' in checked)
      return {
        reply: undefined,
        error: new ValidationError('MILENA_REPLY_INVALID', operation.name, checked.issues),
      }
    return {
      reply: { value: checked.value as Value, headers: new MessageHeaders(headers) },
      error: undefined,
    }
  } catch (thrown) {
    const error = errorOf(thrown)
    if (error instanceof MilenaError) return { reply: undefined, error }
    const message = `operation ${operation.name}: the stored reply cannot be read: ${classOf(thrown)}`
    const facts = { sent: 'yes', outcomeKnown: false, effect: 'done', cause: thrown } as const
    return { reply: undefined, error: new MilenaError('MILENA_CODEC_FAILED', message, facts) }
  }
}

function keyOf({ name }: AnyOperation, key: unknown): string {
  if (typeof key === 'string' && key !== '') return key
  if (typeof key === 'object' && key !== null) {
    const { correlationId } = key as { readonly correlationId?: unknown }
    if (typeof correlationId === 'string' && /^([0-9a-f]{2})+$/.test(correlationId))
      return correlationKey(correlationId)
  }
  throw new OptionsError('requester.outcome', [
    `of operation ${name}: the key must be a text, or { correlationId } in hexadecimal`,
  ])
}
