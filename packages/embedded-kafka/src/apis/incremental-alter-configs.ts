/*
 * IncrementalAlterConfigs (key 44), versions 0-1: of topics. KIP-339.
 * Gaps: configs of the broker cannot be altered (INVALID_REQUEST).
 */
import type { Broker } from '../broker.ts'
import { configProblem, listElements, topicConfigTable } from '../log/topic-config-table.ts'
import { TopicConfigs } from '../log/topic-configs.ts'
import { errorCodes } from '../wire/error-codes.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import type { Reader } from '../wire/reader.ts'
import { attempt } from './attempt.ts'
import { defineApi } from './handler.ts'
import type { ApiHandler } from './handler.ts'
import { configResources } from './topic-config-sources.ts'

/** AlterConfigOp.OpType. */
const operations = { set: 0, delete: 1, append: 2, subtract: 3 } as const

interface Alteration {
  readonly name: string
  readonly operation: number
  readonly value: string | null
}

interface Resource {
  readonly type: number
  readonly name: string
  readonly alterations: readonly Alteration[]
}

export const incrementalAlterConfigs: ApiHandler = defineApi({
  key: 44,
  name: 'IncrementalAlterConfigs',
  minVersion: 0,
  maxVersion: 1,
  flexibleFrom: 1,
  read(request) {
    const resources = request.array(readResource)
    const validateOnly = request.boolean()
    request.tags()
    return { resources, validateOnly }
  },
  serve({ resources, validateOnly }, { broker }) {
    const outcomes = resources.map((resource) => ({
      resource,
      problem: attempt(() => alter(broker, resource, validateOnly)),
    }))
    return (response) => {
      response.int32(0)
      response.array(outcomes, ({ resource, problem }) => {
        response.int16(problem?.code ?? errorCodes.NONE)
        response.nullableString(problem?.message ?? null)
        response.int8(resource.type)
        response.string(resource.name)
        response.tags()
      })
      response.tags()
    }
  },
})

function readResource(reader: Reader): Resource {
  const type = reader.int8()
  const name = reader.string()
  const alterations = reader.array((config) => {
    const alteration = { name: config.string(), operation: config.int8(), value: config.nullableString() }
    config.tags()
    return alteration
  })
  reader.tags()
  return { type, name, alterations }
}

function alter(broker: Broker, resource: Resource, validateOnly: boolean): undefined {
  if (resource.type !== configResources.topic) {
    throw new ProtocolError(errorCodes.INVALID_REQUEST, 'only configs of topics can be altered')
  }
  const topic = broker.topics.get(resource.name)
  if (topic === undefined) {
    throw new ProtocolError(errorCodes.UNKNOWN_TOPIC_OR_PARTITION, `there is no topic ${resource.name}`)
  }
  const altered = new Map(topic.configs.entries())
  for (const alteration of resource.alterations) apply(altered, topic.configs, alteration)
  if (validateOnly) void new TopicConfigs(altered)
  else broker.topics.configure(topic, altered)
}

/** Applies one alteration to `altered`; `current` gives the values that lists grow and shrink from. */
function apply(altered: Map<string, string>, current: TopicConfigs, alteration: Alteration): void {
  const { name, operation, value } = alteration
  if (operation === operations.delete) {
    altered.delete(name)
    return
  }
  if (value === null) throw new ProtocolError(errorCodes.INVALID_REQUEST, `config ${name} has no value`)
  if (operation === operations.set) {
    altered.set(name, value)
    return
  }
  const definition = topicConfigTable.get(name)
  if (definition?.type !== 'list' || (operation !== operations.append && operation !== operations.subtract)) {
    throw new ProtocolError(errorCodes.INVALID_CONFIG, `operation ${operation} does not fit config ${name}`)
  }
  const problem = configProblem(name, definition, value)
  if (problem !== undefined) throw new ProtocolError(errorCodes.INVALID_CONFIG, problem)
  const present = listElements(altered.get(name) ?? current.defaultOf(name))
  const given = listElements(value)
  const result =
    operation === operations.append
      ? [...present, ...given.filter((element) => !present.includes(element))]
      : present.filter((element) => !given.includes(element))
  altered.set(name, result.join(','))
}
