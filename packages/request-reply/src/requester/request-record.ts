/**
 * Makes a request's record. What does not change from request to request is encoded once.
 */
import type { AnyOperation } from '../contract/operation.ts'
import { MilenaError } from '../errors.ts'
import type { OutgoingRecord } from '../transport/transport.ts'
import type { RawHeader } from '../wire/headers.ts'
import {
  deadlineHeader,
  headerBounds,
  idempotencyKeyHeader,
  instanceHeader,
  manyRepliesHeader,
  problemOfIdempotencyKey,
  timeoutHeader,
} from '../wire/milena.ts'
import type { ReplyAddress, WireProfile } from '../wire/profile.ts'
import { said } from '../words.ts'
import type { PendingReply } from './pending.ts'
import { refused, tryOrRefuse, type GivenKey } from './read-options.ts'

/** The largest numbers that fit the headers' bounds. */
const latestDeadline = 10 ** headerBounds.deadline - 1
const longestWait = 10 ** headerBounds.timeout - 1

export class RequestEncoder {
  readonly #profile: WireProfile
  readonly #instance: RawHeader
  readonly #addresses = new WeakMap<ReplyAddress, readonly RawHeader[]>()
  #deadline = Number.NaN
  #deadlineHeader: RawHeader | undefined
  #timeout = Number.NaN
  #timeoutHeader: RawHeader | undefined

  constructor(settings: { readonly profile: WireProfile; readonly instanceId: string }) {
    this.#profile = settings.profile
    this.#instance = instanceHeader(settings.instanceId)
  }

  /**
   * @param further headers beside the request's own
   * @param now milliseconds since the Unix epoch
   * @param left milliseconds until nobody waits any more
   * @throws MilenaError `MILENA_PARTITION_MISSING`, `MILENA_OPTIONS_INVALID`
   */
  encode(
    pending: PendingReply,
    further: readonly RawHeader[],
    address: ReplyAddress,
    now: number,
    left: number,
  ): OutgoingRecord {
    return {
      topic: pending.operation.topic,
      partition: choosePartition(pending),
      key: pending.key,
      value: pending.value,
      headers: this.#headers(pending, further, this.#addressHeaders(address), now + left, left),
    }
  }

  /**
   * The record of a request that asks for no reply.
   *
   * @param left milliseconds until its deadline, if it has one
   * @throws as `encode`
   */
  encodeOneWay(
    pending: PendingReply,
    further: readonly RawHeader[],
    now: number,
    left: number | undefined,
  ): OutgoingRecord {
    const { operation, key, value, headers, account, idempotencyKey } = pending
    const own = [account.header, this.#instance]
    // One that is further away than can be written is as good as none.
    if (left !== undefined && now + left <= latestDeadline) own.push(this.#headerOfDeadline(now + left))
    if (left !== undefined && left <= longestWait) own.push(this.#headerOfTimeout(left))
    if (idempotencyKey !== undefined) own.push(idempotencyKeyHeader(idempotencyKey))
    return {
      topic: operation.topic,
      partition: choosePartition(pending),
      key,
      value,
      headers: [...headers, ...further, ...own],
    }
  }

  #headers(
    { headers, correlationId, account, idempotencyKey, gathering }: PendingReply,
    further: readonly RawHeader[],
    address: readonly RawHeader[],
    at: number,
    left: number,
  ): readonly RawHeader[] {
    const correlation = this.#profile.correlationHeader(correlationId)
    const { header } = account
    const instance = this.#instance
    const deadline = this.#headerOfDeadline(at)
    const timeout = this.#headerOfTimeout(left)
    // Written out where there are no others: a list that grows has room for sixteen more, and that for each request.
    const isPlain = idempotencyKey === undefined && gathering === undefined
    if (isPlain && headers.length === 0 && further.length === 0) {
      const [first, second] = address
      if (address.length === 1) return [first!, correlation, header, instance, deadline, timeout]
      if (address.length === 2) return [first!, second!, correlation, header, instance, deadline, timeout]
    }
    const own = [correlation, header, instance, deadline, timeout]
    if (idempotencyKey !== undefined) own.push(idempotencyKeyHeader(idempotencyKey))
    if (gathering !== undefined) own.push(manyRepliesHeader)
    return [...headers, ...further, ...address, ...own]
  }

  /** Under load many requests of one timeout are made in one millisecond. */
  #headerOfDeadline(deadline: number): RawHeader {
    if (this.#deadlineHeader === undefined || deadline !== this.#deadline) {
      this.#deadline = deadline
      this.#deadlineHeader = deadlineHeader(deadline)
    }
    return this.#deadlineHeader
  }

  #headerOfTimeout(timeout: number): RawHeader {
    if (this.#timeoutHeader === undefined || timeout !== this.#timeout) {
      this.#timeout = timeout
      this.#timeoutHeader = timeoutHeader(timeout)
    }
    return this.#timeoutHeader
  }

  #addressHeaders(address: ReplyAddress): readonly RawHeader[] {
    let headers = this.#addresses.get(address)
    if (headers === undefined) this.#addresses.set(address, (headers = this.#profile.addressHeaders(address)))
    return headers
  }
}

/** The key as the caller or the operation has it, in memory of its own. */
export function chooseKey(operation: AnyOperation, value: unknown, given: GivenKey): Buffer | null {
  if (given === undefined && operation.key === undefined) return null
  return tryOrRefuse(operation, 'key', () => {
    const key = given === undefined ? operation.key!(value as never) : given
    if (key === null) return null
    if (typeof key === 'string') return Buffer.from(key)
    if (key instanceof Uint8Array) return Buffer.from(key)
    const none = key === undefined ? '; where there may be no key, it gives null' : ''
    throw refused(operation, `key must be a string, bytes or null, not ${said(key)}${none}`)
  })
}

/** The idempotency key as the caller or the operation has it. */
export function chooseIdempotencyKey(
  operation: AnyOperation,
  value: unknown,
  given: string | undefined,
): string | undefined {
  if (given === undefined && operation.idempotencyKey === undefined) return undefined
  return tryOrRefuse(operation, 'idempotencyKey', () => {
    const key: unknown = given ?? operation.idempotencyKey!(value as never)
    if (key === undefined || key === null) return undefined
    if (typeof key !== 'string') throw refused(operation, `idempotencyKey must be a string, not ${said(key)}`)
    const problem = problemOfIdempotencyKey(key)
    if (problem !== undefined) throw refused(operation, `idempotencyKey ${problem}`)
    return key
  })
}

function choosePartition({ operation, request, partition, partitions }: PendingReply): number | undefined {
  const chosen = partition ?? operationsChoice(operation, request, partitions)
  if (chosen === undefined) return undefined
  if (chosen < 0 || (partition === undefined && chosen >= partitions)) {
    throw new MilenaError(
      'MILENA_PARTITION_MISSING',
      `operation ${operation.name}: topic ${operation.topic} has partitions 0 to ${partitions - 1}, not ${chosen}`,
    )
  }
  return chosen
}

function operationsChoice(operation: AnyOperation, value: unknown, partitions: number): number | undefined {
  if (operation.partition === undefined) return undefined
  const chosen = tryOrRefuse(operation, 'partition', () => operation.partition!(value as never, partitions))
  if (Number.isSafeInteger(chosen)) return chosen
  throw refused(operation, `partition must be a whole number, not ${said(chosen)}`)
}

/** Bytes of key, value and headers. */
export function recordBytes(key: Buffer | null, value: Buffer | null, headers: readonly RawHeader[]): number {
  let bytes = (key?.length ?? 0) + (value?.length ?? 0)
  for (const [name, content] of headers) bytes += name.length + (content?.length ?? 0)
  return bytes
}
