/*
 * DeleteRecords (key 21), versions 0-2. Offset -1 stands for the high watermark.
 * Gaps: records leave memory a segment at a time; readers see none before the new start at once.
 */
import type { Broker } from '../broker.ts'
import { errorCodes } from '../wire/error-codes.ts'
import type { ErrorCode } from '../wire/error-codes.ts'
import { defineApi } from './handler.ts'
import type { ApiHandler } from './handler.ts'
import { eachOnce, mapTopics, readTopics, writeTopics } from './topic-partitions.ts'

export const deleteRecords: ApiHandler = defineApi({
  key: 21,
  name: 'DeleteRecords',
  minVersion: 0,
  maxVersion: 2,
  flexibleFrom: 2,
  read(request) {
    const topics = readTopics(request, (partition) => ({
      index: partition.int32(),
      offset: partition.int64(),
    }))
    request.int32()
    request.tags()
    return eachOnce(topics)
  },
  serve(topics, { broker }) {
    const outcomes = mapTopics(topics, (topic, { index, offset }) => ({
      index,
      ...deleteBefore(broker, topic, index, offset),
    }))
    return (response) => {
      response.int32(0)
      writeTopics(response, outcomes, ({ index, lowWatermark, error }) => {
        response.int32(index)
        response.int64(lowWatermark)
        response.int16(error)
      })
      response.tags()
    }
  },
})

function deleteBefore(
  broker: Broker,
  topic: string,
  index: number,
  offset: number,
): { lowWatermark: number; error: ErrorCode } {
  const partition = broker.topics.partition(topic, index)
  if (partition === undefined) return { lowWatermark: -1, error: errorCodes.UNKNOWN_TOPIC_OR_PARTITION }
  const before = offset === -1 ? partition.highWatermark : offset
  if (before < 0 || before > partition.highWatermark) {
    return { lowWatermark: -1, error: errorCodes.OFFSET_OUT_OF_RANGE }
  }
  partition.deleteBefore(before)
  return { lowWatermark: partition.logStartOffset, error: errorCodes.NONE }
}
