/** CreateTopics (key 19). Versions 5 to 7: a quota's refusal from 6 on (KIP-599), the topic's id in answers of 7. */
import type { Api } from './api.ts'

export interface CreateTopicsRequest {
  readonly topics: readonly {
    readonly name: string
    readonly partitions: number
    /** −1: as the broker is set up. */
    readonly replicationFactor: number
    readonly configs: readonly (readonly [name: string, value: string])[]
  }[]
  /** Milliseconds that the broker may take. */
  readonly timeout: number
}

/** What a broker said of one topic. */
export interface TopicVerdict {
  readonly name: string
  readonly errorCode: number
  readonly message: string | null
}

export const createTopicsApi: Api<CreateTopicsRequest, readonly TopicVerdict[]> = {
  name: 'CreateTopics',
  key: 19,
  versions: { oldest: 5, newest: 7 },
  flexibleFrom: 5,
  throttledFrom: 2,
  write(to, { topics, timeout }) {
    to.array(topics, (writer, topic) => {
      writer.text(topic.name).int32(topic.partitions).int16(topic.replicationFactor)
      writer.array([], () => undefined) // no replicas by hand
      writer.array(topic.configs, (one, [name, value]) => one.text(name).text(value).tags())
      writer.tags()
    })
    to.int32(timeout).bool(false).tags() // not only to see whether it would be possible
  },
  read(from, version) {
    const verdicts = from.array((reader) => {
      const name = reader.text()
      if (version >= 7) reader.uuid()
      const verdict = { name, errorCode: reader.int16(), message: reader.nullableText() }
      reader.int32() // partitions
      reader.int16() // replicas
      reader.array((config) => {
        config.text()
        config.nullableText()
        config.bool() // read only
        config.int8() // where it is set
        config.bool() // a secret
        config.tags()
      })
      reader.tags()
      return verdict
    })
    from.tags()
    return verdicts
  },
}
