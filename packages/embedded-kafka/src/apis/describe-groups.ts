import { answerOf, defineApi } from './handler.ts'
import type { ApiHandler } from './handler.ts'

const operationsNotAsked = -2_147_483_648
/** READ, DELETE and DESCRIBE, as bits: everything that can be done to a group, for nobody is refused anything. */
const allOperations = (1 << 3) | (1 << 6) | (1 << 8)

/**
 * DescribeGroups, versions 0–5: state and members of groups; a group that does not exist is `Dead`.
 *
 * Gaps: the GROUP_ID_NOT_FOUND of version 6. A group that is named twice is answered once.
 */
export const describeGroups: ApiHandler = defineApi({
  key: 15,
  name: 'DescribeGroups',
  minVersion: 0,
  maxVersion: 5,
  flexibleFrom: 5,
  read(request, version) {
    const groupIds = new Set(request.array((reader) => reader.string()))
    const withOperations = version >= 3 && request.boolean()
    request.tags()
    return { groupIds: [...groupIds], withOperations }
  },
  serve: ({ groupIds, withOperations }, { broker, version }) =>
    answerOf(groupIds.length, function* (response) {
      if (version >= 1) response.int32(0)
      yield* response.arrayInTurns(groupIds, (groupId) => {
        const group = broker.groups.describe(groupId)
        response.int16(group.error)
        response.string(groupId)
        response.string(group.state)
        response.string(group.protocolType)
        response.string(group.protocol)
        response.array(group.members, (member) => {
          response.string(member.memberId)
          if (version >= 4) response.nullableString(member.instanceId)
          response.string(member.clientId)
          response.string(member.clientHost)
          response.bytes(member.metadata)
          response.bytes(member.assignment)
          response.tags()
        })
        if (version >= 3) response.int32(withOperations ? allOperations : operationsNotAsked)
        response.tags()
      })
      response.tags()
    }),
})
