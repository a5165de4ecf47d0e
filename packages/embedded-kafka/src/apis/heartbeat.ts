import { defineApi } from './handler.ts'
import type { ApiHandler } from './handler.ts'

/** Heartbeat, versions 0–4: a member lives, and asks whether a rebalance goes on. No gaps. */
export const heartbeat: ApiHandler = defineApi({
  key: 12,
  name: 'Heartbeat',
  minVersion: 0,
  maxVersion: 4,
  flexibleFrom: 4,
  read(request, version) {
    const groupId = request.string()
    const generation = request.int32()
    const memberId = request.string()
    const instanceId = version >= 3 ? request.nullableString() : null
    request.tags()
    return { groupId, generation, memberId, instanceId }
  },
  serve(identity, { broker, version }) {
    const error = broker.groups.heartbeat(identity)
    return (response) => {
      if (version >= 1) response.int32(0)
      response.int16(error)
      response.tags()
    }
  },
})
