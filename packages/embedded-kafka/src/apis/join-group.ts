import { waitUnlessAborted } from './parked.ts'
import { defineApi } from './handler.ts'
import type { ApiHandler } from './handler.ts'

/**
 * JoinGroup, versions 0–9: take part in a group's next generation; answered when that begins.
 *
 * Up to version 4 there are no static members; up to version 3 a new member joins without being given an id first.
 * Gap: the reason (version 8) is read and not kept.
 */
export const joinGroup: ApiHandler = defineApi({
  key: 11,
  name: 'JoinGroup',
  minVersion: 0,
  maxVersion: 9,
  flexibleFrom: 6,
  read(request, version) {
    const groupId = request.string()
    const sessionTimeoutMs = request.int32()
    const rebalanceTimeoutMs = version >= 1 ? request.int32() : sessionTimeoutMs
    const memberId = request.string()
    const instanceId = version >= 5 ? request.nullableString() : null
    const protocolType = request.string()
    const protocols = request.array((reader) => {
      const protocol = { name: reader.string(), metadata: reader.bytes() }
      reader.tags()
      return protocol
    })
    if (version >= 8) request.nullableString()
    request.tags()
    return { groupId, sessionTimeoutMs, rebalanceTimeoutMs, memberId, instanceId, protocolType, protocols }
  },
  async serve(request, { broker, version, clientId, clientHost, signal }) {
    const joining = broker.groups.join({
      ...request,
      clientId,
      clientHost,
      requireMemberId: version >= 4,
      canSkipAssignment: version >= 9,
    })
    const joined = await waitUnlessAborted(joining, signal)
    if (!joined) return 'no-response'
    return (response) => {
      if (version >= 2) response.int32(0)
      response.int16(joined.error)
      response.int32(joined.generation)
      if (version >= 7) {
        response.nullableString(joined.protocolType)
        response.nullableString(joined.protocol)
      } else {
        response.string(joined.protocol ?? '')
      }
      response.string(joined.leader)
      if (version >= 9) response.boolean(joined.skipAssignment)
      response.string(joined.memberId)
      response.array(joined.members, (member) => {
        response.string(member.memberId)
        if (version >= 5) response.nullableString(member.instanceId)
        response.bytes(member.metadata)
        response.tags()
      })
      response.tags()
    }
  },
})
