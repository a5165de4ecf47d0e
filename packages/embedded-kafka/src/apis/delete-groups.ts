import { defineApi } from './handler.ts'
import type { ApiHandler } from './handler.ts'

/** DeleteGroups, versions 0–2: groups without members, and their offsets. No gaps. */
export const deleteGroups: ApiHandler = defineApi({
  key: 42,
  name: 'DeleteGroups',
  minVersion: 0,
  maxVersion: 2,
  flexibleFrom: 2,
  read(request) {
    const groupIds = new Set(request.array((reader) => reader.string()))
    request.tags()
    return [...groupIds]
  },
  serve(groupIds, { broker }) {
    const deleted = groupIds.map((groupId) => ({ groupId, error: broker.groups.delete(groupId) }))
    return (response) => {
      response.int32(0)
      response.array(deleted, ({ groupId, error }) => {
        response.string(groupId)
        response.int16(error)
        response.tags()
      })
      response.tags()
    }
  },
})
