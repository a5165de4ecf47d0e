import { byTopic } from '../groups/by-topic.ts'
import type { FetchedOffset, TopicPartition } from '../groups/types.ts'
import { errorCodes } from '../wire/error-codes.ts'
import type { Reader } from '../wire/reader.ts'
import type { Writer } from '../wire/writer.ts'
import type { ApiHandler } from './handler.ts'

/**
 * OffsetFetch, versions 1–8: the committed offsets of a group, from version 8 on of several; from version 2 on null
 * topics ask for all.
 *
 * Gaps: no offset is ever unstable (`require_stable`, version 7), as long as no transaction can commit one; KIP-848
 * member epochs and topic ids (versions 9 and 10). A group that is named twice is answered once.
 */
export const offsetFetch: ApiHandler = {
  key: 9,
  name: 'OffsetFetch',
  minVersion: 1,
  maxVersion: 8,
  flexibleFrom: 6,
  handle(request, response, { broker, version }) {
    const wanted = version >= 8 ? request.array(readGroup) : [readTopics(request.string(), request)]
    if (version >= 7) request.boolean()
    request.tags()
    const groups = [...new Map(wanted.map((group) => [group.groupId, group])).values()]
    const results = groups.map(({ groupId, partitions }) => {
      const { error, offsets } = broker.groups.fetchOffsets(groupId, partitions)
      return { groupId, error, offsets }
    })

    if (version >= 3) response.int32(0)
    if (version >= 8) {
      response.array(results, ({ groupId, error, offsets }) => {
        response.string(groupId)
        writeTopics(response, version, error, offsets)
        response.int16(error)
        response.tags()
      })
    } else {
      const { error = errorCodes.NONE, offsets = [] } = results[0] ?? {}
      writeTopics(response, version, error, offsets)
      if (version >= 2) response.int16(error)
    }
    response.tags()
  },
}

interface WantedGroup {
  groupId: string
  partitions: TopicPartition[] | null
}

function readGroup(reader: Reader): WantedGroup {
  const group = readTopics(reader.string(), reader)
  reader.tags()
  return group
}

function readTopics(groupId: string, reader: Reader): WantedGroup {
  const topics = reader.nullableArray(() => {
    const topic = reader.string()
    const partitions = reader.array(() => ({ topic, partition: reader.int32() }))
    reader.tags()
    return partitions
  })
  return { groupId, partitions: topics?.flat() ?? null }
}

function writeTopics(response: Writer, version: number, error: number, offsets: FetchedOffset[]): void {
  response.array(byTopic(offsets), ([topic, partitions]) => {
    response.string(topic)
    response.array(partitions, ({ partition, offset, leaderEpoch, metadata }) => {
      response.int32(partition)
      response.int64(offset)
      if (version >= 5) response.int32(leaderEpoch)
      response.nullableString(metadata)
      response.int16(error)
      response.tags()
    })
    response.tags()
  })
}
