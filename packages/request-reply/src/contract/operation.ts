/**
 * An operation: a named request/reply contract that requester and replier share.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { longestDelay } from '../clock.ts'
import { OptionsError } from '../errors.ts'
import { unknownOptions } from '../given.ts'
import { headerBounds } from '../wire/milena.ts'
import { classOf, foreign } from '../words.ts'
import type { AnyPayload, Payload, Side } from './codec.ts'
import { Learned } from './learned.ts'
import { isSchema, json, nothing } from './payload.ts'

/** A Standard Schema (then the codec is JSON) or a payload: `json()`, `losslessJson()`, `string()`, `bytes()` or one of your own, each with a schema or none. */
export type PayloadSpec = StandardSchemaV1 | AnyPayload

/** What the sending side gives. */
export type PayloadInput<Spec> =
  Spec extends StandardSchemaV1<infer Input, unknown>
    ? Input
    : Spec extends { encode(value: infer Input, context: never): unknown }
      ? Input
      : void

/** What the receiving side gets: the schema's output; what a codec of your own without a schema decodes. */
export type PayloadOutput<Spec> =
  Spec extends StandardSchemaV1<unknown, infer Output>
    ? Output
    : Spec extends { readonly schema: StandardSchemaV1<unknown, infer Output> | undefined }
      ? Spec extends { readonly schema: undefined }
        ? Decoded<Spec>
        : Output
      : Decoded<Spec>

type Decoded<Spec> = Spec extends { decode(bytes: never, context: never): infer Output }
  ? Awaited<Output>
  : void

export interface OperationOptions<Request extends PayloadSpec, Reply extends PayloadSpec | undefined> {
  /** Its name in the operation header, in errors and in statistics, such as `payment.approve`; at most 255 bytes, no control characters. */
  readonly name: string
  /** The topic of its requests. Several operations may share one. */
  readonly topic: string
  readonly request: Request
  /** Without one the reply is empty: the requester learns that the work was done. */
  readonly reply?: Reply
  /**
   * The record key: requests of one key are handled in order. Default: no key. `null` says that this request has none;
   * `undefined`, such as of a property that is not there, is refused: its order would be lost without a word.
   */
  readonly key?: (request: PayloadInput<Request>) => string | Uint8Array | null
  /** The partition, where the key shall not decide. Given the number of partitions; must return one of them. */
  readonly partition?: (request: PayloadInput<Request>, partitions: number) => number
  /**
   * What makes doing the same again harmless, such as an order's number: 1 to 255 bytes, no control characters. A replier with
   * `idempotency` does the work of one key once, also when somebody else asks, or the same one again. Default, and where it
   * gives `undefined`: the correlation id, which is new with each request.
   */
  readonly idempotencyKey?: (request: PayloadInput<Request>) => string | undefined
  /** Milliseconds that a requester waits for the reply; default: the requester's. */
  readonly timeout?: number
  /**
   * Whether the first three values of each side are checked, before they are sent, to survive their codec: what its
   * receiver would refuse (a `z.date()` that JSON makes text) is refused where it is made, with what to do about it.
   * Default: outside of `NODE_ENV=production`, for codecs of the library and schemas that are not asynchronous. `true`:
   * always, and for each codec and schema. A value that fails is not counted.
   */
  readonly checkRoundTrip?: boolean
}

const optionNames: ReadonlySet<string> = new Set<keyof OperationOptions<PayloadSpec, undefined>>([
  'name',
  'topic',
  'request',
  'reply',
  'key',
  'partition',
  'idempotencyKey',
  'timeout',
  'checkRoundTrip',
])

export interface Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput> {
  readonly name: string
  readonly topic: string
  readonly request: Payload<RequestInput, RequestOutput>
  readonly reply: Payload<ReplyInput, ReplyOutput>
  readonly key: ((request: RequestInput) => string | Uint8Array | null) | undefined
  readonly partition: ((request: RequestInput, partitions: number) => number) | undefined
  readonly idempotencyKey: ((request: RequestInput) => string | undefined) | undefined
  readonly timeout: number | undefined
  /** The library's own notes on either payload. */
  readonly learned: Readonly<Record<Side, Learned>>
}

/** The longest timeout: what a timer can wait. */
export const longestTimeout: number = longestDelay

/**
 * Defines an operation.
 *
 * @throws OptionsError (`MILENA_OPTIONS_INVALID`) that lists every problem of the definition.
 */
export function defineOperation<
  Request extends PayloadSpec,
  Reply extends PayloadSpec | undefined = undefined,
>(
  options: OperationOptions<Request, Reply>,
): Operation<PayloadInput<Request>, PayloadOutput<Request>, PayloadInput<Reply>, PayloadOutput<Reply>> {
  const given: Partial<Record<keyof typeof options, unknown>> | null | undefined = options
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new OptionsError('an operation', [`its definition must be an object, not ${classOf(given)}`])
  }
  const problems: string[] = []
  const { name, timeout, checkRoundTrip } = given
  const nameProblem = problemOfName(name)
  if (nameProblem !== undefined) problems.push(`name ${nameProblem}`)
  const topicProblem = problemOfTopic(given.topic)
  if (topicProblem !== undefined) problems.push(`topic ${topicProblem}`)
  for (const side of ['request', 'reply'] as const) {
    if (side === 'reply' && given.reply === undefined) continue
    const problem = problemOfSpec(given[side])
    if (problem !== undefined) problems.push(`${side} ${problem}`)
  }
  for (const part of ['key', 'partition', 'idempotencyKey'] as const) {
    if (given[part] !== undefined && typeof given[part] !== 'function')
      problems.push(`${part} must be a function, not ${classOf(given[part])}`)
  }
  if (timeout !== undefined && !isTimeout(timeout)) {
    const what = typeof timeout === 'number' ? timeout : classOf(timeout)
    problems.push(`timeout must be 1 to ${longestTimeout} ms, not ${what}`)
  }
  if (checkRoundTrip !== undefined && typeof checkRoundTrip !== 'boolean') {
    problems.push(`checkRoundTrip must be true or false, not ${classOf(checkRoundTrip)}`)
  }
  problems.push(...unknownOptions('an operation', given, optionNames))
  if (problems.length > 0) {
    const called = typeof name === 'string' && name !== '' ? foreign(name, 100) : '(no name)'
    throw new OptionsError(`operation ${called}`, problems)
  }
  return {
    name: options.name,
    topic: options.topic,
    request: toPayload(options.request),
    reply: options.reply === undefined ? (nothing as never) : toPayload(options.reply),
    key: options.key,
    partition: options.partition,
    idempotencyKey: options.idempotencyKey,
    timeout: options.timeout,
    learned: { request: new Learned(options.checkRoundTrip), reply: new Learned(options.checkRoundTrip) },
  }
}

/** Any operation, where its types do not matter. */
export type AnyOperation = Operation<never, unknown, never, unknown>

/** The same operation without its types. */
export function untyped<RequestInput, RequestOutput, ReplyInput, ReplyOutput>(
  operation: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
): AnyOperation {
  return operation as unknown as AnyOperation
}

/** What is wrong with what should be an operation, if anything. */
export function problemOfOperation(operation: unknown): string | undefined {
  if (typeof operation !== 'object' || operation === null)
    return `the operation must be one that defineOperation has made, not ${classOf(operation)}`
  const { name, topic, request, reply, learned } = operation as Partial<AnyOperation>
  const whole = typeof name === 'string' && typeof topic === 'string' && request && reply && learned
  return whole ? undefined : 'the operation must be one that defineOperation has made'
}

/** What is wrong with a topic's name, if anything (org.apache.kafka.common.internals.Topic). */
export function problemOfTopic(name: unknown): string | undefined {
  if (typeof name !== 'string' || name === '') return 'must be a name'
  if (name === '.' || name === '..') return `cannot be ${JSON.stringify(name)}`
  if (name.length > 249) return `has ${name.length} characters; at most 249 are allowed`
  if (!/^[A-Za-z0-9._-]+$/.test(name))
    return `${JSON.stringify(name)} may only have letters, digits, '.', '_' and '-'`
  return undefined
}

export function isTimeout(value: unknown): value is number {
  return typeof value === 'number' && value >= 1 && value <= longestTimeout
}

function problemOfName(name: unknown): string | undefined {
  if (typeof name !== 'string') return `must be a string, not ${classOf(name)}`
  const length = Buffer.byteLength(name)
  if (length === 0 || length > headerBounds.operation)
    return `must be a string of 1 to ${headerBounds.operation} bytes, not ${length}`
  // It stands in headers, in log lines and in errors.
  return foreign(name) === name ? undefined : 'must have no control characters and no lone surrogates'
}

function problemOfSpec(spec: unknown): string | undefined {
  const wanted = 'must be a Standard Schema, json(), losslessJson(), string(), bytes() or a codec of your own'
  if (spec === null || (typeof spec !== 'object' && typeof spec !== 'function'))
    return `${wanted}, not ${classOf(spec)}`
  if ('~standard' in spec) return isSchema(spec) ? undefined : 'is a Standard Schema without validate()'
  if (!('codec' in spec))
    return `${wanted}, not ${typeof spec === 'function' ? 'a function: call it' : classOf(spec)}`
  const { codec, schema, encode, decode } = spec as Partial<Record<keyof AnyPayload, unknown>>
  if (typeof codec !== 'string' || codec === '') return 'is a codec whose property codec is not its name'
  if (typeof encode !== 'function' || typeof decode !== 'function')
    return 'is a codec without encode() or decode()'
  return schema === undefined || isSchema(schema) ? undefined : 'has a schema that is no Standard Schema'
}

function toPayload<Input, Output>(spec: PayloadSpec): Payload<Input, Output> {
  return ('~standard' in spec ? json(spec) : spec) as never
}
