/*
 * CreatePartitions (key 37), versions 0-3.
 * An explicit assignment may name this broker only.
 */
import type { Broker } from '../broker.ts'
import { errorCodes } from '../wire/error-codes.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import { attempt } from './attempt.ts'
import { defineApi } from './handler.ts'
import type { ApiHandler } from './handler.ts'

interface WantedPartitions {
  readonly name: string
  readonly count: number
  readonly assignments: readonly (readonly number[])[] | null
}

export const createPartitions: ApiHandler = defineApi({
  key: 37,
  name: 'CreatePartitions',
  minVersion: 0,
  maxVersion: 3,
  flexibleFrom: 2,
  read(request) {
    const topics = request.array((topic): WantedPartitions => {
      const name = topic.string()
      const count = topic.int32()
      const assignments = topic.nullableArray((assignment) => {
        const nodes = assignment.array((node) => node.int32())
        assignment.tags()
        return nodes
      })
      topic.tags()
      return { name, count, assignments }
    })
    request.int32()
    const validateOnly = request.boolean()
    request.tags()
    return { topics, validateOnly }
  },
  serve({ topics, validateOnly }, { broker }) {
    const outcomes = topics.map((topic) => ({
      name: topic.name,
      problem: attempt(() => grow(broker, topic, validateOnly)),
    }))
    return (response) => {
      response.int32(0)
      response.array(outcomes, ({ name, problem }) => {
        response.string(name)
        response.int16(problem?.code ?? errorCodes.NONE)
        response.nullableString(problem?.message ?? null)
        response.tags()
      })
      response.tags()
    }
  },
})

function grow(broker: Broker, wanted: WantedPartitions, validateOnly: boolean): undefined {
  const { name, count, assignments } = wanted
  const present = broker.topics.get(name)?.partitions.length
  if (assignments !== null && present !== undefined) {
    const { nodeId } = broker.controller
    const toThisNode = assignments.every((nodes) => nodes.length === 1 && nodes[0] === nodeId)
    if (!toThisNode || assignments.length !== count - present) {
      throw new ProtocolError(
        errorCodes.INVALID_REPLICA_ASSIGNMENT,
        `each new partition is assigned to the only broker, ${nodeId}`,
      )
    }
  }
  broker.topics.grow(name, count, validateOnly)
}
