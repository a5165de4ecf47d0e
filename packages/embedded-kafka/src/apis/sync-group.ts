import { waitUnlessAborted } from './parked.ts'
import { defineApi } from './handler.ts'
import type { ApiHandler } from './handler.ts'

/**
 * SyncGroup, versions 0–5: the leader hands in everybody's assignment, each member gets its own; answered when the
 * leader's is there. No gaps.
 */
export const syncGroup: ApiHandler = defineApi({
  key: 14,
  name: 'SyncGroup',
  minVersion: 0,
  maxVersion: 5,
  flexibleFrom: 4,
  read(request, version) {
    const groupId = request.string()
    const generation = request.int32()
    const memberId = request.string()
    const instanceId = version >= 3 ? request.nullableString() : null
    const protocolType = version >= 5 ? request.nullableString() : null
    const protocol = version >= 5 ? request.nullableString() : null
    const assignments = request.array((reader) => {
      const share = { memberId: reader.string(), assignment: reader.bytes() }
      reader.tags()
      return share
    })
    request.tags()
    return { groupId, generation, memberId, instanceId, protocolType, protocol, assignments }
  },
  async serve(request, { broker, version, signal }) {
    const synced = await waitUnlessAborted(broker.groups.sync(request), signal)
    if (!synced) return 'no-response'
    return (response) => {
      if (version >= 1) response.int32(0)
      response.int16(synced.error)
      if (version >= 5) {
        response.nullableString(synced.protocolType)
        response.nullableString(synced.protocol)
      }
      response.bytes(synced.assignment)
      response.tags()
    }
  },
})
