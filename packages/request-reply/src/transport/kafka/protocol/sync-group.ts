/** SyncGroup (key 14): the leader hands in everybody's assignment, each member gets its own. Version 5 (KIP-559). */
import type { Api } from './api.ts'
import { CONSUMER } from './join-group.ts'

export interface SyncGroupRequest {
  readonly groupId: string
  readonly generation: number
  readonly memberId: string
  readonly instanceId: string | null
  readonly protocol: string
  /** Empty, but from the leader. */
  readonly assignments: readonly { readonly memberId: string; readonly assignment: Buffer }[]
}

export interface SyncGroupAnswer {
  readonly errorCode: number
  readonly assignment: Buffer
}

export const syncGroupApi: Api<SyncGroupRequest, SyncGroupAnswer> = {
  name: 'SyncGroup',
  key: 14,
  versions: { oldest: 5, newest: 5 },
  flexibleFrom: 4,
  throttledFrom: 1,
  write(to, request) {
    to.text(request.groupId).int32(request.generation).text(request.memberId).text(request.instanceId)
    to.text(CONSUMER).text(request.protocol)
    to.array(request.assignments, (writer, { memberId, assignment }) => {
      writer.text(memberId).blob(assignment).tags()
    })
    to.tags()
  },
  read(from) {
    const errorCode = from.int16()
    from.nullableText() // the protocol's type
    from.nullableText() // its name
    const assignment = Buffer.from(from.blob())
    from.tags()
    return { errorCode, assignment }
  },
}
