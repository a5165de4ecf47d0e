/**
 * Where a record of a retry topic comes from, in the headers that Spring for Apache Kafka's non-blocking retries write, so
 * that its tools read ours.
 *
 * `kafka_original-topic` UTF-8 · `kafka_original-partition` int32 · `kafka_original-offset`, `kafka_original-timestamp`
 * int64, all big-endian · `kafka_dlt-original-consumer-group` UTF-8 · `retry_topic-attempts` int32 ·
 * `retry_topic-original-timestamp`, `retry_topic-backoff-timestamp` as Java's `BigInteger.toByteArray`.
 * Source: spring-kafka 4.x, KafkaHeaders, RetryTopicHeaders, DeadLetterPublishingRecovererFactory.
 *
 * Whoever can write to a topic can write these: they are read for display, and nothing is decided by them.
 */
import { hasList, refuseUnless } from '../given.ts'
import type { RawRequest } from '../replier/raw-request.ts'
import {
  int32Header,
  int64Header,
  letterHeaderNames,
  retryOriginNames as names,
  textHeader,
} from '../wire/dead-letter.ts'
import { lastHeader, type RawHeader } from '../wire/headers.ts'

const attempts = Buffer.from('retry_topic-attempts')
const firstTimestamp = Buffer.from('retry_topic-original-timestamp')
const backoffTimestamp = Buffer.from('retry_topic-backoff-timestamp')

/** Where a request stood first. */
export interface Origin {
  /** The operation's own topic: certain, by the topic that the record was read from. */
  readonly topic: string
  /**
   * Its place there, and when it was written. Certain for a record of that topic itself; of one that stands in a retry topic
   * its headers say so, which may be forged: for display only. `undefined` where they say nothing that can be read.
   */
  readonly partition: number | undefined
  readonly offset: number | undefined
  /** In milliseconds since the Unix epoch. */
  readonly timestamp: number | undefined
}

/** @throws OptionsError of what is no request that a record middleware was given */
export function originOf(request: RawRequest): Origin {
  const wanted = 'it takes the request of a record middleware'
  refuseUnless(hasList(Object(request).record, 'headers'), 'originOf', wanted, request)
  const { base, place, partition, offset, timestamp, record } = request
  if (place === 0) return { topic: base, partition, offset, timestamp }
  const { headers } = record
  return {
    topic: base,
    partition: readInt32(lastHeader(headers, names.partition)),
    offset: readInt64(lastHeader(headers, names.offset)),
    timestamp: readInt64(lastHeader(headers, names.timestamp)),
  }
}

/**
 * The headers that a record gets on its way to the next retry topic, after its own. Of a name the last counts: what a record
 * of the operation's own topic says of its origin does not.
 *
 * @param dueAt when it is to be tried there, in milliseconds since the Unix epoch
 */
export function originHeaders(request: RawRequest, dueAt: number): RawHeader[] {
  const { place, topic, partition, offset, timestamp, attempt, record } = request
  const headers: RawHeader[] = []
  if (place === 0) {
    headers.push(
      textHeader(names.topic, topic),
      int32Header(names.partition, partition),
      int64Header(names.offset, offset),
      int64Header(names.timestamp, timestamp),
      textHeader(letterHeaderNames.originalConsumerGroup, request.replier.groupId),
    )
  }
  if (place === 0 || lastHeader(record.headers, firstTimestamp) === undefined)
    headers.push([firstTimestamp, bigInteger(timestamp)])
  headers.push(int32Header(attempts, attempt + 1), [backoffTimestamp, bigInteger(Math.ceil(dueAt))])
  return headers
}

/** Two's complement, big-endian, in as few bytes as that takes. */
function bigInteger(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeBigInt64BE(BigInt(value))
  const sign = value < 0 ? 0xff : 0
  let start = 0
  while (start < 7 && bytes[start] === sign && (bytes[start + 1]! & 0x80) === (sign & 0x80)) start++
  return bytes.subarray(start)
}

function readInt32(bytes: Buffer | null | undefined): number | undefined {
  if (bytes?.length !== 4) return undefined
  const value = bytes.readInt32BE()
  return value >= 0 ? value : undefined
}

function readInt64(bytes: Buffer | null | undefined): number | undefined {
  if (bytes?.length !== 8) return undefined
  const value = Number(bytes.readBigInt64BE())
  return value >= 0 && Number.isSafeInteger(value) ? value : undefined
}
