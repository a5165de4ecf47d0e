/*
 * OffsetForLeaderEpoch (key 23), versions 2-4, as in Apache Kafka 4. KIP-320.
 * The broker never loses its leadership, so there is one epoch and it ends at the high watermark.
 */
import type { Broker } from '../broker.ts'
import { errorCodes } from '../wire/error-codes.ts'
import type { ErrorCode } from '../wire/error-codes.ts'
import { defineApi } from './handler.ts'
import type { ApiHandler } from './handler.ts'
import { leaderEpochError } from './leader-epoch.ts'
import { eachOnce, mapTopics, readTopics, writeTopics } from './topic-partitions.ts'

interface EpochEnd {
  readonly error: ErrorCode
  readonly epoch: number
  readonly endOffset: number
}

export const offsetForLeaderEpoch: ApiHandler = defineApi({
  key: 23,
  name: 'OffsetForLeaderEpoch',
  minVersion: 2,
  maxVersion: 4,
  flexibleFrom: 4,
  read(request, version) {
    if (version >= 3) request.int32()
    const topics = readTopics(request, (partition) => ({
      index: partition.int32(),
      currentEpoch: partition.int32(),
      epoch: partition.int32(),
    }))
    request.tags()
    return eachOnce(topics)
  },
  serve(topics, { broker }) {
    const ends = mapTopics(topics, (topic, { index, currentEpoch, epoch }) => ({
      index,
      ...endOf(broker, topic, index, currentEpoch, epoch),
    }))
    return (response) => {
      response.int32(0)
      writeTopics(response, ends, ({ index, error, epoch, endOffset }) => {
        response.int16(error)
        response.int32(index)
        response.int32(epoch)
        response.int64(endOffset)
      })
      response.tags()
    }
  },
})

function endOf(broker: Broker, topic: string, index: number, currentEpoch: number, epoch: number): EpochEnd {
  const partition = broker.topics.partition(topic, index)
  if (partition === undefined) {
    return { error: errorCodes.UNKNOWN_TOPIC_OR_PARTITION, epoch: -1, endOffset: -1 }
  }
  const error = leaderEpochError(partition, currentEpoch)
  if (error !== errorCodes.NONE || epoch !== partition.leaderEpoch) return { error, epoch: -1, endOffset: -1 }
  return { error, epoch, endOffset: partition.highWatermark }
}
