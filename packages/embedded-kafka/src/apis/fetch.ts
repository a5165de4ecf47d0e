/*
 * Fetch (key 1), versions 4-12. A fetch that finds less than it wants is parked, and wakes when a record is appended;
 * errors return at once; at least one batch always comes back, whatever its size.
 * Gaps: no fetch sessions (every answer has session id 0, so clients send full fetches); no transactions, so
 * read_committed sees what read_uncommitted sees; no replicas to prefer.
 */
import type { Broker } from '../broker.ts'
import type { Partition } from '../log/partition.ts'
import { errorCodes } from '../wire/error-codes.ts'
import type { ErrorCode } from '../wire/error-codes.ts'
import type { Reader } from '../wire/reader.ts'
import type { Writer } from '../wire/writer.ts'
import type { ApiHandler } from './handler.ts'
import { leaderEpochError } from './leader-epoch.ts'

/** As fetch.max.bytes of Apache Kafka's broker. */
const mostBytes = 55 * 1024 * 1024

interface FetchRequest {
  readonly maxWaitMs: number
  readonly minBytes: number
  readonly maxBytes: number
  readonly readCommitted: boolean
  readonly sessionError: ErrorCode
  readonly topics: readonly WantedTopic[]
}

interface WantedTopic {
  readonly name: string
  readonly partitions: readonly WantedPartition[]
}

interface WantedPartition {
  readonly index: number
  readonly leaderEpoch: number
  readonly offset: number
  readonly maxBytes: number
  readonly partition: Partition | undefined
}

interface FetchedPartition {
  readonly index: number
  readonly error: ErrorCode
  readonly partition: Partition | undefined
  readonly slices: readonly Buffer[]
}

interface Fetched {
  readonly bytes: number
  readonly failed: boolean
  readonly topics: readonly { readonly name: string; readonly partitions: readonly FetchedPartition[] }[]
}

const noSlices: readonly Buffer[] = []

export const fetch: ApiHandler = {
  key: 1,
  name: 'Fetch',
  minVersion: 4,
  maxVersion: 12,
  flexibleFrom: 12,
  handle(request, response, { broker, version, signal }) {
    const wanted = readRequest(request, version, broker)
    const fetched = collect(wanted)
    const enough = fetched.failed || fetched.bytes >= wanted.minBytes || wanted.topics.length === 0
    if (enough || wanted.maxWaitMs <= 0 || wanted.sessionError !== errorCodes.NONE) {
      writeResponse(response, version, wanted, fetched)
      return undefined
    }
    return untilAppended(wanted, wanted.minBytes - fetched.bytes, signal).then(() => {
      writeResponse(response, version, wanted, collect(wanted))
    })
  },
}

function readRequest(request: Reader, version: number, broker: Broker): FetchRequest {
  request.int32()
  const maxWaitMs = request.int32()
  const minBytes = request.int32()
  const maxBytes = Math.min(request.int32(), mostBytes)
  const readCommitted = request.int8() === 1
  const sessionId = version >= 7 ? request.int32() : 0
  const sessionEpoch = version >= 7 ? request.int32() : -1
  const topics = request.array((topic) => {
    const name = topic.string()
    const partitions = topic.array((reader) => {
      const index = reader.int32()
      const leaderEpoch = version >= 9 ? reader.int32() : -1
      const offset = reader.int64()
      if (version >= 12) reader.int32()
      if (version >= 5) reader.int64()
      const partitionMaxBytes = reader.int32()
      reader.tags()
      const partition = broker.topics.partition(name, index)
      return { index, leaderEpoch, offset, maxBytes: partitionMaxBytes, partition }
    })
    topic.tags()
    return { name, partitions }
  })
  // Forgotten topics and the rack follow, which only sessions and replicas have a use for.
  const sessionError =
    sessionId === 0 && (sessionEpoch === 0 || sessionEpoch === -1)
      ? errorCodes.NONE
      : errorCodes.FETCH_SESSION_ID_NOT_FOUND
  return { maxWaitMs, minBytes: Math.min(minBytes, maxBytes), maxBytes, readCommitted, sessionError, topics }
}

function collect(wanted: FetchRequest): Fetched {
  let bytes = 0
  let failed = false
  const topics = wanted.topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map((one): FetchedPartition => {
      const { index, partition } = one
      const error = fetchError(one)
      if (error !== errorCodes.NONE || partition === undefined) {
        failed = true
        return { index, error, partition: undefined, slices: noSlices }
      }
      const end = wanted.readCommitted ? partition.lastStableOffset : partition.highWatermark
      if (one.offset >= end) return { index, error, partition, slices: noSlices }
      const room = Math.max(0, Math.min(one.maxBytes, wanted.maxBytes - bytes))
      const slices = partition.read(one.offset, end, room, bytes === 0)
      for (const slice of slices) bytes += slice.length
      return { index, error, partition, slices }
    }),
  }))
  return { bytes, failed, topics }
}

function fetchError({ partition, leaderEpoch, offset }: WantedPartition): ErrorCode {
  if (partition === undefined || partition.deleted) return errorCodes.UNKNOWN_TOPIC_OR_PARTITION
  const error = leaderEpochError(partition, leaderEpoch)
  if (error !== errorCodes.NONE) return error
  const outside = offset < partition.logStartOffset || offset > partition.highWatermark
  return outside ? errorCodes.OFFSET_OUT_OF_RANGE : errorCodes.NONE
}

/**
 * Resolves when `bytes` were appended to the partitions, one of them was deleted, the wait is over or the connection
 * is closed. The answer is put together a microtask later: by then the produce request that woke it has appended to
 * all of its partitions.
 */
function untilAppended(wanted: FetchRequest, bytes: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    let missing = bytes
    const appended = (size: number): void => {
      missing -= size
      if (missing <= 0) wake()
    }
    const wake = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', wake)
      for (const { partitions } of wanted.topics) {
        for (const { partition } of partitions) partition?.unlisten(appended)
      }
      resolve()
    }
    const timer = setTimeout(wake, wanted.maxWaitMs)
    signal.addEventListener('abort', wake)
    for (const { partitions } of wanted.topics) {
      for (const { partition } of partitions) partition?.listen(appended)
    }
  })
}

function writeResponse(response: Writer, version: number, wanted: FetchRequest, fetched: Fetched): void {
  response.int32(0)
  if (version >= 7) {
    response.int16(wanted.sessionError)
    response.int32(0)
  }
  const topics = wanted.sessionError === errorCodes.NONE ? fetched.topics : []
  response.array(topics, ({ name, partitions }) => {
    response.string(name)
    response.array(partitions, ({ index, error, partition, slices }) => {
      response.int32(index)
      response.int16(error)
      response.int64(partition?.highWatermark ?? -1)
      response.int64(partition?.lastStableOffset ?? -1)
      if (version >= 5) response.int64(partition?.logStartOffset ?? -1)
      // Aborted transactions: none.
      response.nullableArray(wanted.readCommitted ? [] : null, () => {})
      if (version >= 11) response.int32(-1)
      response.records(slices)
      response.tags()
    })
    response.tags()
  })
  response.tags()
}
