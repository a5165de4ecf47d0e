import { byTopic } from '../groups/by-topic.ts'
import type { ApiHandler } from './handler.ts'

/**
 * OffsetCommit, versions 2–8: commit a group's offsets, as a member or (generation -1) for a group without members.
 *
 * Gaps: the retention time of versions 2–4 is read and ignored, committed offsets do not expire; KIP-848 member
 * epochs and topic ids (versions 9 and 10).
 */
export const offsetCommit: ApiHandler = {
  key: 8,
  name: 'OffsetCommit',
  minVersion: 2,
  maxVersion: 8,
  flexibleFrom: 8,
  handle(request, response, { broker, version }) {
    const groupId = request.string()
    const generation = request.int32()
    const memberId = request.string()
    const instanceId = version >= 7 ? request.nullableString() : null
    if (version <= 4) request.int64()
    const offsets = request.array((reader) => {
      const topic = reader.string()
      const commits = reader.array(() => {
        const partition = reader.int32()
        const offset = reader.int64()
        const leaderEpoch = version >= 6 ? reader.int32() : -1
        const metadata = reader.nullableString() ?? ''
        reader.tags()
        return { topic, partition, offset, leaderEpoch, metadata }
      })
      reader.tags()
      return commits
    })
    request.tags()

    const identity = { groupId, generation, memberId, instanceId }
    const outcomes = broker.groups.commitOffsets(identity, offsets.flat())
    if (version >= 3) response.int32(0)
    response.array(byTopic(outcomes), ([topic, partitions]) => {
      response.string(topic)
      response.array(partitions, ({ partition, error }) => {
        response.int32(partition)
        response.int16(error)
        response.tags()
      })
      response.tags()
    })
    response.tags()
  },
}
