/** LeaveGroup (key 13): a member gives up its place. Versions 4 and 5, which says why (KIP-800). */
import type { Api } from './api.ts'

export interface LeaveGroupRequest {
  readonly groupId: string
  /** Empty: whoever has the instance id. */
  readonly memberId: string
  readonly instanceId: string | null
  readonly reason: string
}

/** The group's verdict, or else the member's. */
export const leaveGroupApi: Api<LeaveGroupRequest, { readonly errorCode: number }> = {
  name: 'LeaveGroup',
  key: 13,
  versions: { oldest: 4, newest: 5 },
  flexibleFrom: 4,
  throttledFrom: 1,
  write(to, request, version) {
    to.text(request.groupId)
    to.array([request], (writer, { memberId, instanceId, reason }) => {
      writer.text(memberId).text(instanceId)
      if (version >= 5) writer.text(reason)
      writer.tags()
    })
    to.tags()
  },
  read(from) {
    const group = from.int16()
    const members = from.array((reader) => {
      reader.text() // its id
      reader.nullableText() // its instance id
      const errorCode = reader.int16()
      reader.tags()
      return errorCode
    })
    from.tags()
    return { errorCode: group === 0 ? (members[0] ?? 0) : group }
  },
}
