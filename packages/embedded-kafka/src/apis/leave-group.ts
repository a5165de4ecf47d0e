import type { LeavingMember } from '../groups/types.ts'
import { errorCodes } from '../wire/error-codes.ts'
import type { Reader } from '../wire/reader.ts'
import { defineApi } from './handler.ts'
import type { ApiHandler } from './handler.ts'

/**
 * LeaveGroup, versions 0–5: a member gives up its place; from version 3 on several members, and static ones by their
 * instance id alone. Gap: the reason (version 5) is read and not kept.
 */
export const leaveGroup: ApiHandler = defineApi({
  key: 13,
  name: 'LeaveGroup',
  minVersion: 0,
  maxVersion: 5,
  flexibleFrom: 4,
  read(request, version) {
    const groupId = request.string()
    const leaving =
      version >= 3
        ? request.array((reader) => readMember(reader, version))
        : [{ memberId: request.string(), instanceId: null }]
    request.tags()
    return { groupId, leaving }
  },
  serve({ groupId, leaving }, { broker, version }) {
    const { error, members } = broker.groups.leave(groupId, leaving)
    return (response) => {
      if (version >= 1) response.int32(0)
      if (version < 3) {
        response.int16(error === errorCodes.NONE ? (members[0]?.error ?? error) : error)
        return
      }
      response.int16(error)
      response.array(members, (member) => {
        response.string(member.memberId)
        response.nullableString(member.instanceId)
        response.int16(member.error)
        response.tags()
      })
      response.tags()
    }
  },
})

function readMember(reader: Reader, version: number): LeavingMember {
  const member = { memberId: reader.string(), instanceId: reader.nullableString() }
  if (version >= 5) reader.nullableString()
  reader.tags()
  return member
}
