/*
 * DeleteTopics (key 20), versions 1-5. Fetches that wait for the topic end at once.
 * Gaps: none at these versions; deletion by topic id comes with version 6.
 */
import { errorCodes } from '../wire/error-codes.ts'
import { defineApi } from './handler.ts'
import type { ApiHandler } from './handler.ts'

export const deleteTopics: ApiHandler = defineApi({
  key: 20,
  name: 'DeleteTopics',
  minVersion: 1,
  maxVersion: 5,
  flexibleFrom: 4,
  read(request) {
    const names = request.array((reader) => reader.string())
    request.int32()
    request.tags()
    return names
  },
  serve(names, { broker, version }) {
    const outcomes = names.map((name) => ({ name, deleted: broker.topics.delete(name) }))
    return (response) => {
      response.int32(0)
      response.array(outcomes, ({ name, deleted }) => {
        response.string(name)
        response.int16(deleted ? errorCodes.NONE : errorCodes.UNKNOWN_TOPIC_OR_PARTITION)
        if (version >= 5) response.nullableString(deleted ? null : `there is no topic ${name.slice(0, 300)}`)
        response.tags()
      })
      response.tags()
    }
  },
})
