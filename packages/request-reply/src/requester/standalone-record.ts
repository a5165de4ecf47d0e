/**
 * A request's record without a requester: for who sends it another way, such as an outbox, and has its reply, if there is
 * to be one, read elsewhere. It is validated and encoded as a requester does.
 */
import { encodeRequest, refuseReserved } from './encoding.ts'
import { problemOfOperation, untyped, type AnyOperation, type Operation } from '../contract/operation.ts'
import { OptionsError } from '../errors.ts'
import { problemsOfParts, unknownOptions } from '../given.ts'
import { systemRandom, type RandomBytes } from '../random.ts'
import type { OutgoingRecord } from '../transport/transport.ts'
import type { HeaderInput, RawHeader } from '../wire/headers.ts'
import {
  deadlineHeader,
  idempotencyKeyHeader,
  operationHeader,
  problemOfIdempotencyKey,
} from '../wire/milena.ts'
import type { ReplyAddress, WireProfile } from '../wire/profile.ts'
import { problemOfAddress } from '../wire/reply-topics.ts'
import { ReservedHeaders } from '../wire/reserved-headers.ts'
import { springProfile } from '../wire/spring.ts'
import { applicationHeaders, tryTo } from './read-options.ts'
import { chooseIdempotencyKey, chooseKey } from './request-record.ts'

export interface RequestRecordOptions {
  /** Headers to send along. Those of the names that the library itself uses (`docs/headers.md`) are left out. */
  readonly headers?: HeaderInput | undefined
  /** The record key, instead of the operation's. */
  readonly key?: string | Uint8Array | null | undefined
  /** The partition. Default: the partitioner's choice, by the key. An operation that has a `partition` of its own needs it. */
  readonly partition?: number | undefined
  /** Where its reply is to go; default none: a command that nobody is answered for, or the operation's own `replyTo`. */
  readonly replyTo?: ReplyAddress | undefined
  /** 16 bytes that its reply carries; default with `replyTo`: random ones; else none. */
  readonly correlationId?: Uint8Array | undefined
  /** What makes it the same request, however often it is sent: 1 to 255 bytes of UTF-8; default the operation's own. */
  readonly idempotencyKey?: string | undefined
  /** Milliseconds since the Unix epoch after which it need not be begun any more; default none: however late, it is handled. */
  readonly deadline?: number | undefined
  /** How correlation id and reply address travel; default `springProfile`. */
  readonly profile?: WireProfile | undefined
  /** For simulations; default: the system's cryptographic generator. */
  readonly random?: RandomBytes | undefined
}

/** A record that `Transport.send` takes, and what is in its headers. */
export interface RequestRecord extends OutgoingRecord {
  readonly operation: string
  readonly idempotencyKey: string | undefined
  readonly correlationId: Buffer | undefined
}

const known: ReadonlySet<string> = new Set<keyof RequestRecordOptions>([
  'headers',
  'key',
  'partition',
  'replyTo',
  'correlationId',
  'idempotencyKey',
  'deadline',
  'profile',
  'random',
])

/**
 * Makes the record of a request, or of a command that nobody waits for.
 *
 * @throws MilenaError `MILENA_OPTIONS_INVALID`, `MILENA_REQUEST_INVALID`, `MILENA_CODEC_FAILED`
 */
export async function requestRecord<RequestInput, RequestOutput, ReplyInput, ReplyOutput>(
  typed: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
  value: RequestInput,
  options: RequestRecordOptions = {},
): Promise<RequestRecord> {
  const operation = untyped(typed)
  const problem = problemOfOperation(operation)
  if (problem !== undefined) throw new OptionsError('requestRecord', [problem])
  refuseOptions(operation, options)
  const { profile = springProfile, random = systemRandom, replyTo, deadline } = options
  const reserved = new ReservedHeaders(profile)
  const headers: RawHeader[] = []
  if (options.headers !== undefined) headers.push(...applicationHeaders(operation, options.headers, reserved))
  const given = options.correlationId ?? (replyTo && random(16))
  const correlationId = given && Buffer.from(given)
  if (replyTo !== undefined) headers.push(...profile.addressHeaders(replyTo))
  if (correlationId !== undefined) headers.push(profile.correlationHeader(correlationId))
  headers.push(operationHeader(operation.name))
  if (deadline !== undefined) headers.push(deadlineHeader(deadline))
  const { topic, name } = operation
  const { partition } = options
  const encoding = encodeRequest(operation, value)
  // Before anything is waited for: the value is as it was given. One that is refused is more to the point, though.
  const chosen = tryTo(() => ({
    key: chooseKey(operation, value, options.key),
    idempotencyKey: chooseIdempotencyKey(operation, value, options.idempotencyKey),
  }))
  const body = await encoding
  if ('failed' in chosen) throw chosen.failed
  const { key, idempotencyKey } = chosen.done
  if (idempotencyKey !== undefined) headers.push(idempotencyKeyHeader(idempotencyKey))
  refuseReserved(operation, body, reserved)
  headers.unshift(...body.headers)
  return { topic, partition, key, value: body.value, headers, operation: name, idempotencyKey, correlationId }
}

function refuseOptions(operation: AnyOperation, options: RequestRecordOptions): void {
  const problems = [
    ...unknownOptions(`operation ${operation.name}`, options, known),
    ...problemsOfParts(options),
  ]
  const { partition, replyTo, correlationId, idempotencyKey, deadline } = options
  if (partition === undefined && operation.partition !== undefined)
    problems.push(
      'partition must be given: how many there are, which its own choice needs, is not known here',
    )
  if (partition !== undefined && !isPartition(partition))
    problems.push('partition must be a partition number')
  const addressProblem = replyTo === undefined ? undefined : problemOfAddress(replyTo)
  if (addressProblem !== undefined) problems.push(`replyTo: ${addressProblem}`)
  if (correlationId !== undefined && !(correlationId instanceof Uint8Array && correlationId.length === 16))
    problems.push('correlationId must be 16 bytes')
  const keyProblem = typeof idempotencyKey === 'string' && problemOfIdempotencyKey(idempotencyKey)
  if (typeof keyProblem === 'string') problems.push(`idempotencyKey ${keyProblem}`)
  if (deadline !== undefined && !(Number.isFinite(deadline) && deadline > 0))
    problems.push('deadline must be milliseconds since the Unix epoch')
  if (problems.length > 0) throw new OptionsError(`operation ${operation.name}`, problems)
}

function isPartition(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
