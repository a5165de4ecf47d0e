/**
 * The names of the headers of dead letters, and the words that their values are made of.
 *
 * `kafka_dlt-*` are those of Spring's DeadLetterPublishingRecoverer: text in UTF-8, numbers as int32 and int64,
 * big-endian. Source: spring-kafka 4.x, KafkaHeaders, DeadLetterPublishingRecoverer (`addExceptionInfoHeaders`,
 * `maybeAddOriginalHeaders`). `docs/headers.md` lists all of them with their bounds.
 */
import { lastHeader, type RawHeader } from './headers.ts'
import type { RecordPosition } from './position.ts'

export const springLetterPrefix = 'kafka_dlt-'
export const ownLetterPrefix = 'milena-dlt-'

export type LetterHeader =
  | 'originalTopic'
  | 'originalPartition'
  | 'originalOffset'
  | 'originalTimestamp'
  | 'originalTimestampType'
  | 'originalConsumerGroup'
  | 'exceptionClass'
  | 'exceptionCauseClass'
  | 'exceptionMessage'
  | 'exceptionStack'
  | 'keyExceptionClass'
  | 'keyExceptionMessage'
  | 'keyExceptionStack'
  | 'operation'
  | 'attempts'
  | 'code'
  | 'effect'

export const letterHeaderNames: Readonly<Record<LetterHeader, Buffer>> = {
  originalTopic: Buffer.from('kafka_dlt-original-topic'),
  originalPartition: Buffer.from('kafka_dlt-original-partition'),
  originalOffset: Buffer.from('kafka_dlt-original-offset'),
  originalTimestamp: Buffer.from('kafka_dlt-original-timestamp'),
  originalTimestampType: Buffer.from('kafka_dlt-original-timestamp-type'),
  originalConsumerGroup: Buffer.from('kafka_dlt-original-consumer-group'),
  exceptionClass: Buffer.from('kafka_dlt-exception-fqcn'),
  exceptionCauseClass: Buffer.from('kafka_dlt-exception-cause-fqcn'),
  exceptionMessage: Buffer.from('kafka_dlt-exception-message'),
  exceptionStack: Buffer.from('kafka_dlt-exception-stacktrace'),
  keyExceptionClass: Buffer.from('kafka_dlt-key-exception-fqcn'),
  keyExceptionMessage: Buffer.from('kafka_dlt-key-exception-message'),
  keyExceptionStack: Buffer.from('kafka_dlt-key-exception-stacktrace'),
  operation: Buffer.from('milena-dlt-operation'),
  attempts: Buffer.from('milena-dlt-attempts'),
  code: Buffer.from('milena-dlt-code'),
  effect: Buffer.from('milena-dlt-effect'),
}

/** Which dead letter a request is the replay of: `topic/partition/offset` of the letter. */
export const replayOfName: Buffer = Buffer.from('milena-replay-of')
/** The longest `milena-replay-of`, in bytes: a topic's name, and two numbers. */
export const longestReplayOf = 280

export function textHeader(name: Buffer, text: string): RawHeader {
  return [name, Buffer.from(text)]
}

export function int32Header(name: Buffer, number: number): RawHeader {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeInt32BE(number)
  return [name, bytes]
}

export function int64Header(name: Buffer, number: number): RawHeader {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeBigInt64BE(BigInt(number))
  return [name, bytes]
}

/** The names of the headers that say where a record stood. */
export interface PlaceNames {
  readonly topic: Buffer
  readonly partition: Buffer
  readonly offset: Buffer
  readonly timestamp: Buffer
}

/** Where a letter's record stood. */
export const letterOriginNames: PlaceNames = {
  topic: letterHeaderNames.originalTopic,
  partition: letterHeaderNames.originalPartition,
  offset: letterHeaderNames.originalOffset,
  timestamp: letterHeaderNames.originalTimestamp,
}

/** Where a record of a retry topic stood first, as Spring's and ours say it. */
export const retryOriginNames: PlaceNames = {
  topic: Buffer.from('kafka_original-topic'),
  partition: Buffer.from('kafka_original-partition'),
  offset: Buffer.from('kafka_original-offset'),
  timestamp: Buffer.from('kafka_original-timestamp'),
}

/** The place that the last headers of these names say; `undefined` when one is missing or cannot be read. */
export function readPlace(
  headers: readonly RawHeader[],
  names: PlaceNames,
): (RecordPosition & { readonly timestamp: number | undefined }) | undefined {
  const topic = lastHeader(headers, names.topic)
  const partition = lastHeader(headers, names.partition)
  const offset = readInt64(headers, names.offset)
  if (!topic || topic.length === 0 || partition?.length !== 4 || offset === undefined) return undefined
  const timestamp = readInt64(headers, names.timestamp)
  return { topic: topic.toString(), partition: partition.readInt32BE(), offset, timestamp }
}

function readInt64(headers: readonly RawHeader[], name: Buffer): number | undefined {
  const bytes = lastHeader(headers, name)
  return bytes?.length === 8 ? Number(bytes.readBigInt64BE()) : undefined
}
