import { byTopic } from '../groups/by-topic.ts'
import type { FetchedOffset, TopicPartition } from '../groups/types.ts'
import type { Reader } from '../wire/reader.ts'
import type { Writer } from '../wire/writer.ts'
import { answerOf, defineApi } from './handler.ts'
import type { ApiHandler } from './handler.ts'
import { eachOnce, readTopicIndexes, writeTopics } from './topic-partitions.ts'

/**
 * OffsetFetch, versions 1–8: the committed offsets of a group, from version 8 on of several; from version 2 on null
 * topics ask for all.
 *
 * Gaps: no offset is ever unstable (`require_stable`, version 7), as long as no transaction can commit one; KIP-848
 * member epochs and topic ids (versions 9 and 10). A group or partition that is named
 * twice is answered once.
 */
export const offsetFetch: ApiHandler = defineApi({
  key: 9,
  name: 'OffsetFetch',
  minVersion: 1,
  maxVersion: 8,
  flexibleFrom: 6,
  read(request, version) {
    const groups = version >= 8 ? request.array(readGroup) : [readWanted(request.string(), request)]
    if (version >= 7) request.boolean()
    request.tags()
    return [...new Map(groups.map((group) => [group.groupId, group])).values()]
  },
  serve: (groups, { broker, version }) =>
    answerOf(elementsOf(groups), function* (response) {
      if (version >= 3) response.int32(0)
      if (version >= 8) {
        yield* response.arrayInTurns(groups, ({ groupId, partitions }) => {
          const { error, offsets } = broker.groups.fetchOffsets(groupId, partitions)
          response.string(groupId)
          writeOffsets(response, version, error, offsets)
          response.int16(error)
          response.tags()
        })
      } else {
        const { groupId, partitions } = groups[0]!
        const { error, offsets } = broker.groups.fetchOffsets(groupId, partitions)
        writeOffsets(response, version, error, offsets)
        if (version >= 2) response.int16(error)
      }
      response.tags()
    }),
})

interface WantedGroup {
  groupId: string
  partitions: TopicPartition[] | null
}

/** Infinity where all partitions of a group are asked for. */
function elementsOf(groups: readonly WantedGroup[]): number {
  return groups.reduce((sum, { partitions }) => sum + (partitions?.length ?? Infinity), groups.length)
}

function readGroup(reader: Reader): WantedGroup {
  const group = readWanted(reader.string(), reader)
  reader.tags()
  return group
}

function readWanted(groupId: string, reader: Reader): WantedGroup {
  const topics = readTopicIndexes(reader)
  if (topics === null) return { groupId, partitions: null }
  const partitions = eachOnce(topics).flatMap(({ topic, partitions: indexes }) =>
    indexes.map(({ index }) => ({ topic, partition: index })),
  )
  return { groupId, partitions }
}

function writeOffsets(response: Writer, version: number, error: number, offsets: FetchedOffset[]): void {
  writeTopics(response, byTopic(offsets), ({ partition, offset, leaderEpoch, metadata }) => {
    response.int32(partition)
    response.int64(offset)
    if (version >= 5) response.int32(leaderEpoch)
    response.nullableString(metadata)
    response.int16(error)
  })
}
