import { byTopic } from '../groups/by-topic.ts'
import type { ApiHandler } from './handler.ts'

/** OffsetDelete, version 0: committed offsets of topics that no member of the group reads. No gaps. */
export const offsetDelete: ApiHandler = {
  key: 47,
  name: 'OffsetDelete',
  minVersion: 0,
  maxVersion: 0,
  flexibleFrom: Infinity,
  handle(request, response, { broker }) {
    const groupId = request.string()
    const wanted = request.array((reader) => {
      const topic = reader.string()
      return reader.array(() => ({ topic, partition: reader.int32() }))
    })
    const { error, partitions } = broker.groups.deleteOffsets(groupId, wanted.flat())
    response.int16(error)
    response.int32(0)
    response.array(byTopic(partitions), ([topic, outcomes]) => {
      response.string(topic)
      response.array(outcomes, (outcome) => {
        response.int32(outcome.partition)
        response.int16(outcome.error)
      })
    })
  },
}
