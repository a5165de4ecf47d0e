/** DeleteTopics (key 20), by name. Versions 4 to 6: the answer says why from 5 on; ids would be possible in 6 (KIP-516). */
import type { Api } from './api.ts'
import type { TopicVerdict } from './create-topics.ts'
import { NO_TOPIC_ID } from './primitive-types.ts'

export interface DeleteTopicsRequest {
  readonly names: readonly string[]
  /** Milliseconds that the broker may take. */
  readonly timeout: number
}

export const deleteTopicsApi: Api<DeleteTopicsRequest, readonly TopicVerdict[]> = {
  name: 'DeleteTopics',
  key: 20,
  versions: { oldest: 4, newest: 6 },
  flexibleFrom: 4,
  throttledFrom: 1,
  write(to, { names, timeout }, version) {
    to.array(names, (writer, name) => {
      writer.text(name)
      if (version >= 6) writer.uuid(NO_TOPIC_ID).tags()
    })
    to.int32(timeout).tags()
  },
  read(from, version) {
    const verdicts = from.array((reader) => {
      const name = reader.nullableText() ?? ''
      if (version >= 6) reader.uuid()
      const verdict = {
        name,
        errorCode: reader.int16(),
        message: version >= 5 ? reader.nullableText() : null,
      }
      reader.tags()
      return verdict
    })
    from.tags()
    return verdicts
  },
}
