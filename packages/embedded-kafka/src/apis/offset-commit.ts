import { byTopic } from '../groups/by-topic.ts'
import { defineApi } from './handler.ts'
import type { ApiHandler } from './handler.ts'
import { eachOnce, readTopics, writeTopics } from './topic-partitions.ts'

/**
 * OffsetCommit, versions 2–8: commit a group's offsets, as a member or (generation -1) for a group without members.
 *
 * Gaps: the retention time of versions 2–4 is read and ignored, committed offsets do not expire; KIP-848 member
 * epochs and topic ids (versions 9 and 10).
 */
export const offsetCommit: ApiHandler = defineApi({
  key: 8,
  name: 'OffsetCommit',
  minVersion: 2,
  maxVersion: 8,
  flexibleFrom: 8,
  read(request, version) {
    const groupId = request.string()
    const generation = request.int32()
    const memberId = request.string()
    const instanceId = version >= 7 ? request.nullableString() : null
    if (version <= 4) request.int64()
    const topics = readTopics(request, (partition) => ({
      index: partition.int32(),
      offset: partition.int64(),
      leaderEpoch: version >= 6 ? partition.int32() : -1,
      metadata: partition.nullableString() ?? '',
    }))
    request.tags()
    const offsets = eachOnce(topics).flatMap(({ topic, partitions }) =>
      partitions.map(({ index, ...commit }) => ({ topic, partition: index, ...commit })),
    )
    return { identity: { groupId, generation, memberId, instanceId }, offsets }
  },
  serve({ identity, offsets }, { broker, version }) {
    const outcomes = byTopic(broker.groups.commitOffsets(identity, offsets))
    return (response) => {
      if (version >= 3) response.int32(0)
      writeTopics(response, outcomes, ({ partition, error }) => {
        response.int32(partition)
        response.int16(error)
      })
      response.tags()
    }
  },
})
