/**
 * An operation: a named request/reply contract that requester and replier share.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { longestDelay } from '../clock.ts'
import { OptionsError } from '../errors.ts'
import { headerBounds } from '../wire/milena.ts'
import type { AnyPayload, Payload } from './codec.ts'
import { json, nothing } from './payload.ts'

/** A Standard Schema (then the codec is JSON) or a payload: `json()`, `string()`, `bytes()`, each with a schema or none. */
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
  /** Its name in the operation header, in errors and in statistics, such as `payment.approve`; at most 255 bytes. */
  readonly name: string
  /** The topic of its requests. Several operations may share one. */
  readonly topic: string
  readonly request: Request
  /** Without one the reply is empty: the requester learns that the work was done. */
  readonly reply?: Reply
  /** The record key: requests of one key are handled in order. Default: no key. */
  readonly key?: (request: PayloadInput<Request>) => string | Uint8Array | null
  /** The partition, where the key shall not decide. Given the number of partitions; must return one of them. */
  readonly partition?: (request: PayloadInput<Request>, partitions: number) => number
  /** Milliseconds that a requester waits for the reply; default: the requester's. */
  readonly timeout?: number
}

export interface Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput> {
  readonly name: string
  readonly topic: string
  readonly request: Payload<RequestInput, RequestOutput>
  readonly reply: Payload<ReplyInput, ReplyOutput>
  readonly key: ((request: RequestInput) => string | Uint8Array | null) | undefined
  readonly partition: ((request: RequestInput, partitions: number) => number) | undefined
  readonly timeout: number | undefined
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
  const problems: string[] = []
  const nameBytes = typeof options.name === 'string' ? Buffer.byteLength(options.name) : 0
  if (nameBytes === 0 || nameBytes > headerBounds.operation) {
    problems.push(`name must be a string of 1 to ${headerBounds.operation} bytes, not ${nameBytes}`)
  }
  const topicProblem = problemOfTopic(options.topic)
  if (topicProblem !== undefined) problems.push(`topic ${topicProblem}`)
  if (!isSpec(options.request))
    problems.push('request must be a Standard Schema, json(), string() or bytes()')
  if (options.reply !== undefined && !isSpec(options.reply)) {
    problems.push('reply must be a Standard Schema, json(), string() or bytes()')
  }
  for (const name of ['key', 'partition'] as const) {
    if (options[name] !== undefined && typeof options[name] !== 'function')
      problems.push(`${name} must be a function`)
  }
  if (options.timeout !== undefined && !isTimeout(options.timeout)) {
    problems.push(`timeout must be 1 to ${longestTimeout} ms, not ${options.timeout}`)
  }
  if (problems.length > 0) throw new OptionsError(`operation ${options.name || '(no name)'}`, problems)
  return {
    name: options.name,
    topic: options.topic,
    request: toPayload(options.request),
    reply: options.reply === undefined ? (nothing as never) : toPayload(options.reply),
    key: options.key,
    partition: options.partition,
    timeout: options.timeout,
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

/** What is wrong with a topic's name, if anything (org.apache.kafka.common.internals.Topic). */
export function problemOfTopic(name: unknown): string | undefined {
  if (typeof name !== 'string' || name === '') return 'must be a name'
  if (name === '.' || name === '..') return `cannot be ${JSON.stringify(name)}`
  if (name.length > 249) return `has ${name.length} characters; at most 249 are allowed`
  if (!/^[A-Za-z0-9._-]+$/.test(name))
    return `${JSON.stringify(name)} may only have letters, digits, '.', '_' and '-'`
  return undefined
}

export function isTimeout(value: number): boolean {
  return Number.isFinite(value) && value >= 1 && value <= longestTimeout
}

function isSpec(spec: PayloadSpec | undefined): boolean {
  if (spec === null || (typeof spec !== 'object' && typeof spec !== 'function')) return false
  return '~standard' in spec || 'codec' in spec
}

function toPayload<Input, Output>(spec: PayloadSpec): Payload<Input, Output> {
  return ('~standard' in spec ? json(spec) : spec) as never
}
