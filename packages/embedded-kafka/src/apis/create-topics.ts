/*
 * CreateTopics (key 19), versions 2-5.
 * Replication factor 1 or -1; an explicit assignment may name this broker only.
 */
import type { Broker } from '../broker.ts'
import type { Topic } from '../log/topics.ts'
import { errorCodes } from '../wire/error-codes.ts'
import type { ErrorCode } from '../wire/error-codes.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import type { Reader } from '../wire/reader.ts'
import type { Writer } from '../wire/writer.ts'
import { attempt } from './attempt.ts'
import { defineApi } from './handler.ts'
import type { ApiHandler } from './handler.ts'
import { topicConfigSources } from './topic-config-sources.ts'

interface NewTopic {
  readonly name: string
  readonly partitions: number
  readonly replicationFactor: number
  readonly assignments: readonly { readonly index: number; readonly nodes: readonly number[] }[]
  readonly configs: readonly (readonly [name: string, value: string | null])[]
}

interface Created {
  readonly name: string
  readonly error: ErrorCode
  readonly message: string | null
  readonly topic?: Topic
  readonly partitions: number
}

export const createTopics: ApiHandler = defineApi({
  key: 19,
  name: 'CreateTopics',
  minVersion: 2,
  maxVersion: 5,
  flexibleFrom: 5,
  read(request) {
    const topics = request.array(readTopic)
    request.int32()
    const validateOnly = request.boolean()
    request.tags()
    return { topics, validateOnly }
  },
  serve({ topics, validateOnly }, { broker, version }) {
    const times = new Map<string, number>()
    for (const { name } of topics) times.set(name, (times.get(name) ?? 0) + 1)
    const created = topics.map((topic) =>
      times.get(topic.name) === 1
        ? create(broker, topic, validateOnly)
        : failed(topic.name, errorCodes.INVALID_REQUEST, 'the request has this topic more than once'),
    )
    return (response) => {
      response.int32(0)
      response.array(created, (one) => writeCreated(response, one, version))
      response.tags()
    }
  },
})

function readTopic(reader: Reader): NewTopic {
  const name = reader.string()
  const partitions = reader.int32()
  const replicationFactor = reader.int16()
  const assignments = reader.array((assignment) => {
    const index = assignment.int32()
    const nodes = assignment.array((node) => node.int32())
    assignment.tags()
    return { index, nodes }
  })
  const configs = reader.array((config) => {
    const pair = [config.string(), config.nullableString()] as const
    config.tags()
    return pair
  })
  reader.tags()
  return { name, partitions, replicationFactor, assignments, configs }
}

function create(broker: Broker, wanted: NewTopic, validateOnly: boolean): Created {
  const { name } = wanted
  const created = attempt(() => {
    const partitions = partitionCount(broker, wanted)
    const configs = new Map<string, string>()
    for (const [config, value] of wanted.configs) {
      if (value === null) throw new ProtocolError(errorCodes.INVALID_CONFIG, `config ${config} has no value`)
      configs.set(config, value)
    }
    return { topic: broker.topics.create(name, partitions, configs, validateOnly), partitions }
  })
  if (created instanceof ProtocolError) return failed(name, created.code, created.message)
  return { name, error: errorCodes.NONE, message: null, ...created }
}

/** The number of partitions, which an explicit assignment gives too. @throws ProtocolError if it cannot be met */
function partitionCount(broker: Broker, wanted: NewTopic): number {
  const { nodeId } = broker.controller
  const { assignments, partitions, replicationFactor } = wanted
  if (assignments.length > 0) {
    if (partitions !== -1 || replicationFactor !== -1) {
      const problem = 'with an assignment, the numbers of partitions and replicas are both -1'
      throw new ProtocolError(errorCodes.INVALID_REQUEST, problem)
    }
    const indexes = new Set(assignments.map(({ index }) => index))
    const consecutive = assignments.every((_, index) => indexes.has(index))
    const toThisNode = assignments.every(({ nodes }) => nodes.length === 1 && nodes[0] === nodeId)
    if (!consecutive || !toThisNode) {
      const problem = `partitions are numbered from 0 and assigned to the only broker, ${nodeId}`
      throw new ProtocolError(errorCodes.INVALID_REPLICA_ASSIGNMENT, problem)
    }
    return assignments.length
  }
  if (replicationFactor !== 1 && replicationFactor !== -1) {
    const problem = `replication factor ${replicationFactor}: there is one broker, so 1 or -1`
    throw new ProtocolError(errorCodes.INVALID_REPLICATION_FACTOR, problem)
  }
  return partitions === -1 ? broker.settings.defaultPartitions : partitions
}

function failed(name: string, error: ErrorCode, message: string): Created {
  return { name, error, message, partitions: -1 }
}

function writeCreated(response: Writer, created: Created, version: number): void {
  const { name, error, message, topic, partitions } = created
  response.string(name)
  response.int16(error)
  response.nullableString(message)
  if (version >= 5) {
    response.int32(topic === undefined ? -1 : partitions)
    response.int16(topic === undefined ? -1 : 1)
    response.nullableArray(topic === undefined ? null : topicConfigSources(topic.configs), (config) => {
      response.string(config.name)
      response.nullableString(config.value)
      response.boolean(false)
      response.int8(config.source)
      response.boolean(false)
      response.tags()
    })
  }
  response.tags()
}
