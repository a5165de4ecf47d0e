/*
 * OffsetForLeaderEpoch (key 23), versions 0-4. KIP-320.
 * The broker never loses its leadership, so there is one epoch and it ends at the high watermark.
 */
import type { Broker } from '../broker.ts'
import { errorCodes } from '../wire/error-codes.ts'
import type { ErrorCode } from '../wire/error-codes.ts'
import type { ApiHandler } from './handler.ts'
import { leaderEpochError } from './leader-epoch.ts'

interface EpochEnd {
  readonly error: ErrorCode
  readonly epoch: number
  readonly endOffset: number
}

export const offsetForLeaderEpoch: ApiHandler = {
  key: 23,
  name: 'OffsetForLeaderEpoch',
  minVersion: 0,
  maxVersion: 4,
  flexibleFrom: 4,
  handle(request, response, { broker, version }) {
    if (version >= 3) request.int32()
    const topics = request.array((topic) => {
      const name = topic.string()
      const partitions = topic.array((reader) => {
        const index = reader.int32()
        const currentEpoch = version >= 2 ? reader.int32() : -1
        const epoch = reader.int32()
        reader.tags()
        return { index, end: endOf(broker, name, index, currentEpoch, epoch) }
      })
      topic.tags()
      return { name, partitions }
    })

    if (version >= 2) response.int32(0)
    response.array(topics, ({ name, partitions }) => {
      response.string(name)
      response.array(partitions, ({ index, end }) => {
        response.int16(end.error)
        response.int32(index)
        if (version >= 1) response.int32(end.epoch)
        response.int64(end.endOffset)
        response.tags()
      })
      response.tags()
    })
    response.tags()
  },
}

function endOf(broker: Broker, topic: string, index: number, currentEpoch: number, epoch: number): EpochEnd {
  const partition = broker.topics.partition(topic, index)
  if (partition === undefined) {
    return { error: errorCodes.UNKNOWN_TOPIC_OR_PARTITION, epoch: -1, endOffset: -1 }
  }
  const error = leaderEpochError(partition, currentEpoch)
  if (error !== errorCodes.NONE || epoch !== partition.leaderEpoch) return { error, epoch: -1, endOffset: -1 }
  return { error, epoch, endOffset: partition.highWatermark }
}
