/**
 * Makes a request's record. What does not change from request to request is encoded once.
 */
import type { AnyOperation } from '../contract/operation.ts'
import { validate, type Validated } from '../contract/payload.ts'
import { MilenaError, OptionsError, ValidationError } from '../errors.ts'
import type { OutgoingRecord } from '../transport/transport.ts'
import { encodeHeaders, type HeaderInput, type RawHeader } from '../wire/headers.ts'
import { deadlineHeader, instanceHeader, operationHeader } from '../wire/milena.ts'
import { ReservedHeaders } from '../wire/reserved-headers.ts'
import type { ReplyAddress, WireProfile } from '../wire/profile.ts'
import type { RequestOptions } from './reply.ts'

export interface RequestRoute {
  readonly correlationId: Buffer
  readonly address: ReplyAddress
  /** Milliseconds since the Unix epoch. */
  readonly deadline: number
  /** How many partitions the request topic has. */
  readonly partitions: number
}

/** A request's own part of its record. */
export interface RequestBody {
  readonly key: Buffer | null
  readonly value: Buffer | null
  /** Those that the application gave. */
  readonly headers: readonly RawHeader[]
}

const none: readonly RawHeader[] = []

export class RequestEncoder {
  readonly #profile: WireProfile
  readonly #instance: RawHeader
  readonly #reserved: ReservedHeaders
  readonly #operations = new WeakMap<AnyOperation, RawHeader>()
  readonly #addresses = new WeakMap<ReplyAddress, readonly RawHeader[]>()
  #deadline = Number.NaN
  #deadlineHeader: RawHeader | undefined

  constructor(settings: { readonly profile: WireProfile; readonly instanceId: string }) {
    this.#profile = settings.profile
    this.#instance = instanceHeader(settings.instanceId)
    this.#reserved = new ReservedHeaders(settings.profile)
  }

  /**
   * What comes of the value and the caller's options, in memory of its own: from here on both are the caller's again.
   *
   * @throws MilenaError `MILENA_CODEC_FAILED`, `MILENA_OPTIONS_INVALID`
   */
  encodeBody(operation: AnyOperation, value: unknown, options: RequestOptions): RequestBody {
    const given = value as never
    return {
      key: chooseKey(operation, given, options),
      value: encodeValue(operation, given),
      headers: options.headers === undefined ? none : this.#applicationHeaders(operation, options.headers),
    }
  }

  /** @throws MilenaError `MILENA_PARTITION_MISSING`, `MILENA_OPTIONS_INVALID` */
  encode(
    operation: AnyOperation,
    value: unknown,
    options: RequestOptions,
    body: RequestBody,
    route: RequestRoute,
  ): OutgoingRecord {
    return {
      topic: operation.topic,
      partition: choosePartition(operation, value as never, options, route.partitions),
      key: body.key,
      value: body.value,
      headers: [
        ...body.headers,
        ...this.#addressHeaders(route.address),
        this.#profile.correlationHeader(route.correlationId),
        this.#operationHeader(operation),
        this.#instance,
        this.#headerOfDeadline(route.deadline),
      ],
    }
  }

  /**
   * A header of ours that the application hands on, from a request that it has received itself, is not a request for
   * anything: its `kafka_replyPartition` would send the reply astray where our own address has no partition.
   */
  #applicationHeaders(operation: AnyOperation, headers: HeaderInput): RawHeader[] {
    const encoded = tryOrRefuse(operation, 'headers', () => encodeHeaders(headers))
    return encoded.filter(([name]) => !this.#reserved.has(name))
  }

  #operationHeader(operation: AnyOperation): RawHeader {
    let header = this.#operations.get(operation)
    if (header === undefined) this.#operations.set(operation, (header = operationHeader(operation.name)))
    return header
  }

  /** Under load many requests of one timeout are made in one millisecond. */
  #headerOfDeadline(deadline: number): RawHeader {
    if (this.#deadlineHeader === undefined || deadline !== this.#deadline) {
      this.#deadline = deadline
      this.#deadlineHeader = deadlineHeader(deadline)
    }
    return this.#deadlineHeader
  }

  #addressHeaders(address: ReplyAddress): readonly RawHeader[] {
    let headers = this.#addresses.get(address)
    if (headers === undefined) this.#addresses.set(address, (headers = this.#profile.addressHeaders(address)))
    return headers
  }
}

function encodeValue(operation: AnyOperation, value: never): Buffer | null {
  try {
    return operation.request.encode(value)
  } catch (cause) {
    throw new MilenaError(
      'MILENA_CODEC_FAILED',
      `operation ${operation.name}: request: ${messageOf(cause)}`,
      { cause },
    )
  }
}

/** The key as the caller or the operation has it. */
function chooseKey(operation: AnyOperation, value: never, options: RequestOptions): Buffer | null {
  const key =
    options.key === undefined
      ? operation.key && tryOrRefuse(operation, 'key', () => operation.key!(value))
      : options.key
  if (key === null || key === undefined) return null
  if (typeof key === 'string' || key instanceof Uint8Array) return Buffer.from(key as Uint8Array)
  throw new OptionsError(`operation ${operation.name}`, [
    `key must be a string, bytes or null, not ${typeof key}`,
  ])
}

function choosePartition(
  operation: AnyOperation,
  value: never,
  options: RequestOptions,
  partitions: number,
): number | undefined {
  const partition =
    options.partition ??
    (operation.partition &&
      tryOrRefuse(operation, 'partition', () => operation.partition!(value, partitions)))
  if (partition === undefined) return undefined
  if (!Number.isSafeInteger(partition)) {
    throw new OptionsError(`operation ${operation.name}`, [
      `partition must be a whole number, not ${String(partition)}`,
    ])
  }
  if (partition < 0 || (options.partition === undefined && partition >= partitions)) {
    throw new MilenaError(
      'MILENA_PARTITION_MISSING',
      `operation ${operation.name}: topic ${operation.topic} has partitions 0 to ${partitions - 1}, not ${partition}`,
    )
  }
  return partition
}

/** Runs what the operation's author, or the caller, wrote. */
function tryOrRefuse<Result>(operation: AnyOperation, what: string, run: () => Result): Result {
  try {
    return run()
  } catch (cause) {
    throw new OptionsError(`operation ${operation.name}`, [`${what}: ${messageOf(cause)}`], { cause })
  }
}

/**
 * Validates a request before it is sent; a promise only where the schema is asynchronous.
 *
 * @throws ValidationError `MILENA_REQUEST_INVALID`; MilenaError `MILENA_CODEC_FAILED` when the schema itself fails.
 */
export function checkRequest(operation: AnyOperation, value: unknown): Promise<void> | undefined {
  let checked
  try {
    checked = validate(operation.request.schema, value)
  } catch (cause) {
    throw schemaFailed(operation, cause)
  }
  if (!(checked instanceof Promise)) return refuseInvalid(operation, checked)
  return checked.then(
    (result) => refuseInvalid(operation, result),
    (cause: unknown) => {
      throw schemaFailed(operation, cause)
    },
  )
}

function refuseInvalid(operation: AnyOperation, checked: Validated<unknown>): undefined {
  if ('issues' in checked) throw new ValidationError('MILENA_REQUEST_INVALID', operation.name, checked.issues)
}

function schemaFailed(operation: AnyOperation, cause: unknown): MilenaError {
  const message = `operation ${operation.name}: the request's schema failed: ${messageOf(cause)}`
  return new MilenaError('MILENA_CODEC_FAILED', message, { cause })
}

/** Bytes of key, value and headers. */
export function recordBytes({ key, value, headers }: RequestBody): number {
  let bytes = (key?.length ?? 0) + (value?.length ?? 0)
  for (const [name, content] of headers) bytes += name.length + (content?.length ?? 0)
  return bytes
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
