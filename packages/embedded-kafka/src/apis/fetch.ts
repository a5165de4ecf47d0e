/*
 * Fetch (key 1), versions 4-18; from 13 on topics are named by their ids (KIP-516). A fetch that finds less than it
 * wants is parked, and wakes when a record is appended. As in Apache Kafka, an offset out of range and a leader epoch
 * that does not fit are answered at once, and so is a fetch of which no partition is known; a partition that is not
 * known beside others is answered with them, when their wait is over. At least one batch always comes back, whatever
 * its size; a partition that is named twice is answered once.
 * Gaps: no fetch sessions (every answer has session id 0, so clients send full fetches); no transactions, so
 * read_committed sees what read_uncommitted sees; no replicas to prefer.
 */
import type { Broker } from '../broker.ts'
import type { Partition } from '../log/partition.ts'
import { errorCodes } from '../wire/error-codes.ts'
import type { ErrorCode } from '../wire/error-codes.ts'
import type { Reader } from '../wire/reader.ts'
import type { Writer } from '../wire/writer.ts'
import { untilAppended } from './appended.ts'
import { defineApi } from './handler.ts'
import type { Answer, ApiHandler } from './handler.ts'
import { leaderEpochError } from './leader-epoch.ts'
import { eachOnce, mapTopics, readTopics, writeTopics } from './topic-partitions.ts'
import type { OfTopic } from './topic-partitions.ts'

/** As fetch.max.bytes of Apache Kafka's broker. */
const mostBytes = 55 * 1024 * 1024
/** The first version that names topics by their ids. */
const byIdFrom = 13

interface FetchRequest {
  readonly maxWaitMs: number
  readonly minBytes: number
  readonly maxBytes: number
  readonly readCommitted: boolean
  readonly sessionError: ErrorCode
  readonly topics: readonly OfTopic<AskedPartition>[]
}

interface AskedPartition {
  readonly index: number
  readonly leaderEpoch: number
  readonly offset: number
  readonly maxBytes: number
}

/** Either the partition, or why there is none. */
type WantedPartition = AskedPartition & {
  readonly partition: Partition | undefined
  readonly missing: ErrorCode
}

interface FetchedPartition {
  readonly index: number
  readonly error: ErrorCode
  readonly partition: Partition | undefined
  readonly slices: readonly Buffer[]
}

interface Fetched {
  readonly bytes: number
  /** Whether a partition has an error that is answered at once. */
  readonly urgent: boolean
  readonly topics: readonly OfTopic<FetchedPartition>[]
}

const noSlices: readonly Buffer[] = []

export const fetch: ApiHandler = defineApi({
  key: 1,
  name: 'Fetch',
  minVersion: 4,
  maxVersion: 18,
  flexibleFrom: 12,
  read: readRequest,
  serve(request, { broker, version, signal }) {
    const wanted = mapTopics(request.topics, (topic, asked) => locate(broker, topic, asked, version))
    const answer = (fetched: Fetched): Answer => {
      return (response) => writeResponse(response, version, request, fetched)
    }
    const known = wanted.flatMap(({ partitions }) => partitions.flatMap(({ partition }) => partition ?? []))
    const fetched = collect(request, wanted)
    const enough = fetched.urgent || fetched.bytes >= request.minBytes || known.length === 0
    if (enough || request.maxWaitMs <= 0 || request.sessionError !== errorCodes.NONE) return answer(fetched)
    return untilAppended(known, request.minBytes - fetched.bytes, request.maxWaitMs, signal).then(() =>
      answer(collect(request, wanted)),
    )
  },
})

function readRequest(request: Reader, version: number): FetchRequest {
  if (version < 15) request.int32()
  const maxWaitMs = request.int32()
  const minBytes = request.int32()
  const maxBytes = Math.min(request.int32(), mostBytes)
  const readCommitted = request.int8() === 1
  const sessionId = version >= 7 ? request.int32() : 0
  const sessionEpoch = version >= 7 ? request.int32() : -1
  const topics = readTopics(
    request,
    (partition): AskedPartition => {
      const index = partition.int32()
      const leaderEpoch = version >= 9 ? partition.int32() : -1
      const offset = partition.int64()
      if (version >= 12) partition.int32()
      if (version >= 5) partition.int64()
      return { index, leaderEpoch, offset, maxBytes: partition.int32() }
    },
    (reader) => readTopicName(reader, version),
  )
  // Forgotten topics and the rack, which only sessions and replicas have a use for; and who the replica is.
  if (version >= 7) {
    request.array((forgotten) => {
      readTopicName(forgotten, version)
      forgotten.array((index) => index.int32())
      forgotten.tags()
    })
  }
  if (version >= 11) request.string()
  request.tags()
  const sessionError =
    sessionId === 0 && (sessionEpoch === 0 || sessionEpoch === -1)
      ? errorCodes.NONE
      : errorCodes.FETCH_SESSION_ID_NOT_FOUND
  return {
    maxWaitMs,
    minBytes: Math.min(minBytes, maxBytes),
    maxBytes,
    readCommitted,
    sessionError,
    topics: eachOnce(topics),
  }
}

function readTopicName(reader: Reader, version: number): string {
  return version >= byIdFrom ? reader.uuid() : reader.string()
}

function locate(broker: Broker, topic: string, asked: AskedPartition, version: number): WantedPartition {
  const found = version >= byIdFrom ? broker.topics.getById(topic) : broker.topics.get(topic)
  const missing =
    found === undefined && version >= byIdFrom
      ? errorCodes.UNKNOWN_TOPIC_ID
      : errorCodes.UNKNOWN_TOPIC_OR_PARTITION
  return { ...asked, partition: found?.partitions[asked.index], missing }
}

function collect(request: FetchRequest, wanted: readonly OfTopic<WantedPartition>[]): Fetched {
  let bytes = 0
  let urgent = false
  const topics = mapTopics(wanted, (_topic, one): FetchedPartition => {
    const { index, partition } = one
    if (partition === undefined) return { index, error: one.missing, partition, slices: noSlices }
    const error = fetchError(partition, one)
    if (error !== errorCodes.NONE) {
      urgent = true
      return { index, error, partition: undefined, slices: noSlices }
    }
    const end = request.readCommitted ? partition.lastStableOffset : partition.highWatermark
    if (one.offset >= end) return { index, error, partition, slices: noSlices }
    const room = Math.max(0, Math.min(one.maxBytes, request.maxBytes - bytes))
    const slices = partition.read(one.offset, end, room, bytes === 0)
    for (const slice of slices) bytes += slice.length
    return { index, error, partition, slices }
  })
  return { bytes, urgent, topics }
}

function fetchError(partition: Partition, { leaderEpoch, offset }: AskedPartition): ErrorCode {
  if (partition.deleted) return errorCodes.UNKNOWN_TOPIC_OR_PARTITION
  const error = leaderEpochError(partition, leaderEpoch)
  if (error !== errorCodes.NONE) return error
  const outside = offset < partition.logStartOffset || offset > partition.highWatermark
  return outside ? errorCodes.OFFSET_OUT_OF_RANGE : errorCodes.NONE
}

function writeResponse(response: Writer, version: number, request: FetchRequest, fetched: Fetched): void {
  response.int32(0)
  if (version >= 7) {
    response.int16(request.sessionError)
    response.int32(0)
  }
  writeTopics(
    response,
    request.sessionError === errorCodes.NONE ? fetched.topics : [],
    ({ index, error, partition, slices }) => {
      response.int32(index)
      response.int16(error)
      response.int64(partition?.highWatermark ?? -1)
      response.int64(partition?.lastStableOffset ?? -1)
      if (version >= 5) response.int64(partition?.logStartOffset ?? -1)
      // Aborted transactions: none.
      response.nullableArray(request.readCommitted ? [] : null, () => {})
      if (version >= 11) response.int32(-1)
      response.records(slices)
    },
    (topic) => (version >= byIdFrom ? response.uuid(topic) : response.string(topic)),
  )
  response.tags()
}
