/** Heartbeat (key 12): a member lives, and is told whether its group goes on. Version 4. */
import type { Api } from './api.ts'

export interface HeartbeatRequest {
  readonly groupId: string
  readonly generation: number
  readonly memberId: string
  readonly instanceId: string | null
}

export const heartbeatApi: Api<HeartbeatRequest, { readonly errorCode: number }> = {
  name: 'Heartbeat',
  key: 12,
  versions: { oldest: 4, newest: 4 },
  flexibleFrom: 4,
  throttledFrom: 1,
  write(to, { groupId, generation, memberId, instanceId }) {
    to.text(groupId).int32(generation).text(memberId).text(instanceId).tags()
  },
  read(from) {
    const errorCode = from.int16()
    from.tags()
    return { errorCode }
  },
}
