/*
 * DescribeConfigs (key 32), versions 1-4, as in Apache Kafka 4: of topics (2) and of this broker (4). A
 * resource that is named twice is answered once.
 * Gaps: of the broker, only what has an effect here or is commonly asked for; no documentation texts.
 */
import type { Broker } from '../broker.ts'
import type { ConfigType } from '../log/topic-config-table.ts'
import { errorCodes } from '../wire/error-codes.ts'
import type { ErrorCode } from '../wire/error-codes.ts'
import type { Reader } from '../wire/reader.ts'
import type { Writer } from '../wire/writer.ts'
import { brokerConfigs } from './broker-configs.ts'
import { answerOf, defineApi } from './handler.ts'
import type { ApiHandler } from './handler.ts'
import { configResources, topicConfigSources } from './topic-config-sources.ts'
import type { DescribedConfig } from './topic-config-sources.ts'

/** DescribeConfigsResponse.ConfigType. */
const typeNumbers: Readonly<Record<ConfigType, number>> = {
  boolean: 1,
  string: 2,
  int: 3,
  long: 5,
  double: 6,
  list: 7,
}

interface Resource {
  readonly type: number
  readonly name: string
  /** Null: all of them. */
  readonly wanted: ReadonlySet<string> | null
}

interface Described {
  readonly error: ErrorCode
  readonly message: string | null
  readonly configs: readonly DescribedConfig[]
}

export const describeConfigs: ApiHandler = defineApi({
  key: 32,
  name: 'DescribeConfigs',
  minVersion: 1,
  maxVersion: 4,
  flexibleFrom: 4,
  read(request, version) {
    const resources = request.array(readResource)
    const synonyms = request.boolean()
    if (version >= 3) request.boolean()
    request.tags()
    const once = new Map(resources.map((resource) => [`${resource.type} ${resource.name}`, resource]))
    return { resources: [...once.values()], synonyms }
  },
  serve: ({ resources, synonyms }, { broker, version }) =>
    answerOf(resources.length, function* (response) {
      response.int32(0)
      yield* response.arrayInTurns(resources, (resource) => {
        const { error, message, configs } = describe(broker, resource)
        response.int16(error)
        response.nullableString(message)
        response.int8(resource.type)
        response.string(resource.name)
        response.array(configs, (config) => writeConfig(response, config, version, synonyms))
        response.tags()
      })
      response.tags()
    }),
})

function readResource(reader: Reader): Resource {
  const type = reader.int8()
  const name = reader.string()
  const names = reader.nullableArray((key) => key.string())
  reader.tags()
  return { type, name, wanted: names === null ? null : new Set(names) }
}

function describe(broker: Broker, { type, name, wanted }: Resource): Described {
  let configs: DescribedConfig[]
  if (type === configResources.topic) {
    const topic = broker.topics.get(name)
    if (topic === undefined) return failed(errorCodes.UNKNOWN_TOPIC_OR_PARTITION, `there is no topic ${name}`)
    configs = topicConfigSources(topic.configs)
  } else if (type === configResources.broker) {
    const { nodeId } = broker.controller
    if (name !== '' && name !== String(nodeId)) {
      return failed(errorCodes.INVALID_REQUEST, `this is broker ${nodeId}, not ${name}`)
    }
    configs = brokerConfigs(broker.settings)
  } else {
    return failed(errorCodes.INVALID_REQUEST, `resources of type ${type} have no configs here`)
  }
  if (wanted !== null && wanted.size > 0) configs = configs.filter((config) => wanted.has(config.name))
  return { error: errorCodes.NONE, message: null, configs }
}

function failed(error: ErrorCode, message: string): Described {
  return { error, message: message.slice(0, 300), configs: [] }
}

function writeConfig(response: Writer, config: DescribedConfig, version: number, synonyms: boolean): void {
  const { name, value, source, readOnly } = config
  response.string(name)
  response.nullableString(value)
  response.boolean(readOnly)
  response.int8(source)
  response.boolean(false)
  response.array(synonyms ? [config] : [], () => {
    response.string(name)
    response.nullableString(value)
    response.int8(source)
    response.tags()
  })
  if (version >= 3) {
    response.int8(typeNumbers[config.type])
    response.nullableString(null)
  }
  response.tags()
}
