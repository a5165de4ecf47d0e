import type { ApiHandler } from './handler.ts'

/** Heartbeat, versions 0–4: a member lives, and asks whether a rebalance goes on. No gaps. */
export const heartbeat: ApiHandler = {
  key: 12,
  name: 'Heartbeat',
  minVersion: 0,
  maxVersion: 4,
  flexibleFrom: 4,
  handle(request, response, { broker, version }) {
    const groupId = request.string()
    const generation = request.int32()
    const memberId = request.string()
    const instanceId = version >= 3 ? request.nullableString() : null
    request.tags()
    const error = broker.groups.heartbeat({ groupId, generation, memberId, instanceId })
    if (version >= 1) response.int32(0)
    response.int16(error)
    response.tags()
  },
}
