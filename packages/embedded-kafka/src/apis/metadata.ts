/*
 * Metadata (key 3), versions 0-12.
 * Topics are made by asking only with auto.create.topics.enable, and at once: there is no LEADER_NOT_AVAILABLE.
 * Gaps: authorized operations are not told (there is no authorization); one node leads everything.
 */
import type { Broker } from '../broker.ts'
import type { Topic } from '../log/topics.ts'
import { errorCodes } from '../wire/error-codes.ts'
import type { ErrorCode } from '../wire/error-codes.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import type { Writer } from '../wire/writer.ts'
import { attempt } from './attempt.ts'
import { answerOf, defineApi } from './handler.ts'
import type { ApiHandler } from './handler.ts'

const zeroUuid = '00000000-0000-0000-0000-000000000000'
const operationsNotAsked = -2_147_483_648

interface Found {
  readonly name: string | null
  readonly id: string
  readonly error: ErrorCode
  readonly topic?: Topic
}

export const metadata: ApiHandler = defineApi({
  key: 3,
  name: 'Metadata',
  minVersion: 0,
  maxVersion: 12,
  flexibleFrom: 9,
  read(request, version) {
    const topics = request.nullableArray((reader) => {
      const id = version >= 10 ? reader.uuid() : zeroUuid
      const name = version >= 10 ? reader.nullableString() : reader.string()
      reader.tags()
      return { id, name }
    })
    const mayCreate = version >= 4 ? request.boolean() : true
    if (version >= 8 && version <= 10) request.boolean()
    if (version >= 8) request.boolean()
    request.tags()
    return { wanted: version === 0 && topics?.length === 0 ? null : topics, mayCreate }
  },
  serve({ wanted, mayCreate }, { broker, version }) {
    const named = wanted && distinct(wanted).map(({ id, name }) => find(broker, name, id, mayCreate))
    return answerOf(named?.length ?? Infinity, function* (response) {
      const found: readonly Found[] =
        named ??
        [...broker.topics.all()].map((topic) => ({ name: topic.name, id: topic.id, error: 0, topic }))
      if (version >= 3) response.int32(0)
      response.array(broker.nodes, (node) => {
        response.int32(node.nodeId)
        response.string(node.host)
        response.int32(node.port)
        if (version >= 1) response.nullableString(null)
        response.tags()
      })
      if (version >= 2) response.nullableString(broker.clusterId)
      if (version >= 1) response.int32(broker.controller.nodeId)
      yield* response.arrayInTurns(found, (one) => writeTopic(one, response, broker, version))
      if (version >= 8 && version <= 10) response.int32(operationsNotAsked)
      response.tags()
    })
  },
})

/** Each topic once, so that no request can make the answer much larger than itself. */
function distinct<T extends { name: string | null; id: string }>(wanted: readonly T[]): T[] {
  return [...new Map(wanted.map((one) => [one.name ?? `id ${one.id}`, one])).values()]
}

function find(broker: Broker, name: string | null, id: string, mayCreate: boolean): Found {
  if (name === null) {
    const topic = broker.topics.getById(id)
    if (topic === undefined) return { name, id, error: errorCodes.UNKNOWN_TOPIC_ID }
    return { name: topic.name, id, error: errorCodes.NONE, topic }
  }
  const found = attempt(() => {
    const topic = broker.topicForUse(name, mayCreate)
    if (topic === undefined) broker.topics.checkName(name)
    return topic
  })
  if (found instanceof ProtocolError) return { name, id: zeroUuid, error: found.code }
  if (found !== undefined) return { name, id: found.id, error: errorCodes.NONE, topic: found }
  return { name, id: zeroUuid, error: errorCodes.UNKNOWN_TOPIC_OR_PARTITION }
}

function writeTopic(
  { name, id, error, topic }: Found,
  response: Writer,
  broker: Broker,
  version: number,
): void {
  const leader = broker.controller.nodeId
  response.int16(error)
  if (version >= 12) response.nullableString(name)
  else response.string(name ?? '')
  if (version >= 10) response.uuid(id)
  if (version >= 1) response.boolean(false)
  response.array(topic?.partitions ?? [], (partition) => {
    response.int16(errorCodes.NONE)
    response.int32(partition.index)
    response.int32(leader)
    if (version >= 7) response.int32(partition.leaderEpoch)
    response.array([leader], (replica) => response.int32(replica))
    response.array([leader], (replica) => response.int32(replica))
    if (version >= 5) response.array([], () => {})
    response.tags()
  })
  if (version >= 8) response.int32(operationsNotAsked)
  response.tags()
}
