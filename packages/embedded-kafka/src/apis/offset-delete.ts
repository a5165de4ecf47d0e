import { byTopic } from '../groups/by-topic.ts'
import { defineApi } from './handler.ts'
import type { ApiHandler } from './handler.ts'
import { eachOnce, readTopicIndexes, writeTopics } from './topic-partitions.ts'

/** OffsetDelete, version 0: committed offsets of topics that no member of the group reads. No gaps. */
export const offsetDelete: ApiHandler = defineApi({
  key: 47,
  name: 'OffsetDelete',
  minVersion: 0,
  maxVersion: 0,
  flexibleFrom: Infinity,
  read(request) {
    const groupId = request.string()
    const topics = readTopicIndexes(request) ?? []
    const wanted = eachOnce(topics).flatMap(({ topic, partitions }) =>
      partitions.map(({ index }) => ({ topic, partition: index })),
    )
    return { groupId, wanted }
  },
  serve({ groupId, wanted }, { broker }) {
    const { error, partitions } = broker.groups.deleteOffsets(groupId, wanted)
    return (response) => {
      response.int16(error)
      response.int32(0)
      writeTopics(response, byTopic(partitions), (outcome) => {
        response.int32(outcome.partition)
        response.int16(outcome.error)
      })
    }
  },
})
