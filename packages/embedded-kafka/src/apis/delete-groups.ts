import type { ApiHandler } from './handler.ts'

/** DeleteGroups, versions 0–2: groups without members, and their offsets. No gaps. */
export const deleteGroups: ApiHandler = {
  key: 42,
  name: 'DeleteGroups',
  minVersion: 0,
  maxVersion: 2,
  flexibleFrom: 2,
  handle(request, response, { broker }) {
    const groupIds = new Set(request.array((reader) => reader.string()))
    request.tags()
    response.int32(0)
    response.array([...groupIds], (groupId) => {
      response.string(groupId)
      response.int16(broker.groups.delete(groupId))
      response.tags()
    })
    response.tags()
  },
}
