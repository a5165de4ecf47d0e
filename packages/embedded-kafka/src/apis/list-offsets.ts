/*
 * ListOffsets (key 2), versions 1-6: by time, earliest (-2) and latest (-1).
 * Gaps: no transactions, so the latest offset is the same at both isolation levels.
 */
import type { Broker } from '../broker.ts'
import { errorCodes } from '../wire/error-codes.ts'
import type { ErrorCode } from '../wire/error-codes.ts'
import type { ApiHandler } from './handler.ts'
import { leaderEpochError } from './leader-epoch.ts'

const latest = -1
const earliest = -2

interface ListedOffset {
  readonly error: ErrorCode
  readonly timestamp: number
  readonly offset: number
  readonly leaderEpoch: number
}

export const listOffsets: ApiHandler = {
  key: 2,
  name: 'ListOffsets',
  minVersion: 1,
  maxVersion: 6,
  flexibleFrom: 6,
  handle(request, response, { broker, version }) {
    request.int32()
    const readCommitted = version >= 2 && request.int8() === 1
    const topics = request.array((topic) => {
      const name = topic.string()
      const partitions = topic.array((reader) => {
        const index = reader.int32()
        const leaderEpoch = version >= 4 ? reader.int32() : -1
        const timestamp = reader.int64()
        reader.tags()
        return { index, listed: find(broker, name, index, leaderEpoch, timestamp, readCommitted) }
      })
      topic.tags()
      return { name, partitions }
    })

    if (version >= 2) response.int32(0)
    response.array(topics, ({ name, partitions }) => {
      response.string(name)
      response.array(partitions, ({ index, listed }) => {
        response.int32(index)
        response.int16(listed.error)
        response.int64(listed.timestamp)
        response.int64(listed.offset)
        if (version >= 4) response.int32(listed.leaderEpoch)
        response.tags()
      })
      response.tags()
    })
    response.tags()
  },
}

function find(
  broker: Broker,
  topic: string,
  index: number,
  claimedEpoch: number,
  timestamp: number,
  readCommitted: boolean,
): ListedOffset {
  const nothing = { timestamp: -1, offset: -1, leaderEpoch: -1 }
  const partition = broker.topics.partition(topic, index)
  if (partition === undefined) return { error: errorCodes.UNKNOWN_TOPIC_OR_PARTITION, ...nothing }
  const { leaderEpoch } = partition
  const error = leaderEpochError(partition, claimedEpoch)
  if (error !== errorCodes.NONE) return { error, ...nothing }
  if (timestamp === latest) {
    const offset = readCommitted ? partition.lastStableOffset : partition.highWatermark
    return { error, timestamp: -1, offset, leaderEpoch }
  }
  if (timestamp === earliest) return { error, timestamp: -1, offset: partition.logStartOffset, leaderEpoch }
  if (timestamp < 0) return { error: errorCodes.UNSUPPORTED_VERSION, ...nothing }
  const found = partition.firstSince(timestamp)
  return found === undefined ? { error, ...nothing } : { error, ...found, leaderEpoch }
}
