/*
 * ListOffsets (key 2), versions 1-6: by time, earliest (-2) and latest (-1). A partition that is named twice
 * is answered once.
 * Gaps: no transactions, so the latest offset is the same at both isolation levels.
 */
import type { Broker } from '../broker.ts'
import type { Partition } from '../log/partition.ts'
import type { UnpackMeter } from '../records/record-times.ts'
import { errorCodes } from '../wire/error-codes.ts'
import type { ErrorCode } from '../wire/error-codes.ts'
import { defineApi } from './handler.ts'
import type { Answer, ApiHandler } from './handler.ts'
import { leaderEpochError } from './leader-epoch.ts'
import { eachOnce, readTopics, writeTopics } from './topic-partitions.ts'
import type { OfTopic } from './topic-partitions.ts'
import { Turn } from './turns.ts'

const latest = -1
const earliest = -2

interface ListedOffset {
  readonly index: number
  readonly error: ErrorCode
  readonly timestamp: number
  readonly offset: number
  readonly leaderEpoch: number
}

interface Asked {
  readonly index: number
  readonly claimedEpoch: number
  readonly timestamp: number
}

export const listOffsets: ApiHandler = defineApi({
  key: 2,
  name: 'ListOffsets',
  minVersion: 1,
  maxVersion: 6,
  flexibleFrom: 6,
  read(request, version) {
    request.int32()
    const readCommitted = version >= 2 && request.int8() === 1
    const topics = readTopics(request, (partition): Asked => {
      const index = partition.int32()
      const claimedEpoch = version >= 4 ? partition.int32() : -1
      return { index, claimedEpoch, timestamp: partition.int64() }
    })
    request.tags()
    return { topics: eachOnce(topics), readCommitted }
  },
  serve({ topics, readCommitted }, { broker, version, signal }) {
    const written =
      (listed: readonly OfTopic<ListedOffset>[]): Answer =>
      (response) => {
        if (version >= 2) response.int32(0)
        writeTopics(response, listed, ({ index, error, timestamp, offset, leaderEpoch }) => {
          response.int32(index)
          response.int16(error)
          response.int64(timestamp)
          response.int64(offset)
          if (version >= 4) response.int32(leaderEpoch)
        })
        response.tags()
      }
    const listed = broker.longWork.run(findAll(broker, topics, readCommitted), signal)
    return listed instanceof Promise ? listed.then(written) : written(listed)
  },
})

function* findAll(
  broker: Broker,
  topics: readonly OfTopic<Asked>[],
  readCommitted: boolean,
): Generator<void, OfTopic<ListedOffset>[]> {
  const turn = new Turn()
  const listed: OfTopic<ListedOffset>[] = []
  for (const { topic, partitions } of topics) {
    const found: ListedOffset[] = []
    for (const asked of partitions) {
      const meter = { unpackedBytes: 0 }
      found.push(find(broker.topics.partition(topic, asked.index), asked, readCommitted, meter))
      if (turn.isOver(meter.unpackedBytes)) yield
    }
    listed.push({ topic, partitions: found })
  }
  return listed
}

function find(
  partition: Partition | undefined,
  { index, claimedEpoch, timestamp }: Asked,
  readCommitted: boolean,
  meter: UnpackMeter,
): ListedOffset {
  const nothing = { index, timestamp: -1, offset: -1, leaderEpoch: -1 }
  if (partition === undefined) return { ...nothing, error: errorCodes.UNKNOWN_TOPIC_OR_PARTITION }
  const { leaderEpoch } = partition
  const error = leaderEpochError(partition, claimedEpoch)
  if (error !== errorCodes.NONE) return { ...nothing, error }
  if (timestamp === latest) {
    const offset = readCommitted ? partition.lastStableOffset : partition.highWatermark
    return { ...nothing, error, offset, leaderEpoch }
  }
  if (timestamp === earliest) return { ...nothing, error, offset: partition.logStartOffset, leaderEpoch }
  if (timestamp < 0) return { ...nothing, error: errorCodes.UNSUPPORTED_VERSION }
  const found = partition.firstSince(timestamp, meter)
  return found === undefined ? { ...nothing, error } : { index, error, ...found, leaderEpoch }
}
