/**
 * Produce (key 0), versions 9 to 12, which have one form: batches, each to its partition.
 *
 * `acks` is always −1: an answer means that all in-sync replicas have the records.
 */
import type { Api } from '../protocol/api.ts'
import { readByTopic, writeByTopic } from '../protocol/by-topic.ts'
import type { Reader } from '../protocol/reader.ts'

const ALL_IN_SYNC = -1

/** An encoded batch on its way to its partition. */
export interface PartitionBatch {
  readonly topic: string
  readonly partition: number
  readonly bytes: Buffer
}

/** What the leader said of one batch. */
export interface PartitionResult {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  /** Offset of the batch's first record when `errorCode` is 0. */
  readonly baseOffset: number
  /** Indexes of the records that are to blame, where the broker tells (KIP-467). */
  readonly guilty: readonly number[]
  readonly message: string | undefined
}

/**
 * Batches, at most one of each partition, for the broker that leads them. Without an answer it is unknown whether they
 * were appended.
 */
export interface ProduceRequest {
  readonly batches: readonly PartitionBatch[]
  /** Milliseconds that the broker may wait for the in-sync replicas. */
  readonly timeout: number
}

export const produceApi: Api<ProduceRequest, PartitionResult[]> = {
  name: 'Produce',
  key: 0,
  versions: { oldest: 9, newest: 12 },
  flexibleFrom: 9,
  throttledFrom: Infinity, // it stands behind the results
  write(to, { batches, timeout }) {
    to.text(null).int16(ALL_IN_SYNC).int32(timeout) // no transactional id
    writeByTopic(to, batches, (writer, { partition, bytes }) => {
      writer.int32(partition).piece(bytes).tags()
    })
    to.tags()
  },
  read(from) {
    const results = readByTopic(from, readResult)
    from.throttle = from.int32()
    from.tags()
    return results
  },
}

function readResult(from: Reader, topic: string): PartitionResult {
  const partition = from.int32()
  const errorCode = from.int16()
  const baseOffset = from.int64()
  from.int64() // when it was appended, if the topic says so
  from.int64() // where the log begins
  const faults = from.array((reader) => {
    const fault = { index: reader.int32(), message: reader.nullableText() }
    reader.tags()
    return fault
  })
  const message = from.nullableText()
  from.tags()
  return {
    topic,
    partition,
    errorCode,
    baseOffset,
    guilty: faults.map((one) => one.index),
    message: faults[0]?.message ?? message ?? undefined,
  }
}
